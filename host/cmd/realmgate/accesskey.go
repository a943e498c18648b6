package main

import (
	"context"
	"io"
	"time"

	"github.com/realmgate/realmgate/host/admin"
)

type accessKeyCmd struct {
	Create accessKeyCreate `cmd:"" help:"Make an access key and print its id and secret, this once. A principal may have five."`
	List   accessKeyList   `cmd:"" help:"List the access keys of a principal."`
	Delete accessKeyDelete `cmd:"" help:"End an access key and delete its secret; what is signed with it is refused at once."`
}

// accessKeysOf names the principal.
type accessKeysOf struct {
	realmDoor
	Principal string `arg:"" help:"Name of the principal."`
}

type accessKeyCreate struct{ accessKeysOf }

// Run creates the key.
func (k accessKeyCreate) Run(ctx context.Context, c *cli, std streams) error {
	cl, err := k.client(c, std)
	if err != nil {
		return err
	}
	made, err := cl.CreateAccessKey(ctx, k.Realm, k.Principal)
	if err != nil {
		return err
	}
	return k.print(std, made, func(w io.Writer) {
		row(w, "access key id", made.ID)
		row(w, "secret access key", made.Secret)
	})
}

type accessKeyList struct{ accessKeysOf }

// Run lists the keys.
func (k accessKeyList) Run(ctx context.Context, c *cli, std streams) error {
	cl, err := k.client(c, std)
	if err != nil {
		return err
	}
	keys, err := cl.AccessKeys(ctx, k.Realm, k.Principal)
	if err != nil {
		return err
	}
	return k.print(std, map[string][]admin.AccessKey{"access_keys": keys}, func(w io.Writer) {
		row(w, "ID", "CREATED")
		for _, x := range keys {
			row(w, x.ID, x.Created.Format(time.RFC3339))
		}
	})
}

type accessKeyDelete struct {
	accessKeysOf
	ID string `arg:"" help:"Id of the key, RGAK..."`
}

// Run deletes the key.
func (k accessKeyDelete) Run(ctx context.Context, c *cli, std streams) error {
	cl, err := k.client(c, std)
	if err != nil {
		return err
	}
	return cl.DeleteAccessKey(ctx, k.Realm, k.Principal, k.ID)
}
