package config

import (
	"errors"
	"fmt"
	"os/user"
	"regexp"
	"strconv"
)

// Users says whom the processes of a plugin run as.
type Users struct {
	First, Last uint32 // ids, the same if there is one process for all realms; zero: the daemon's own user
	Group       uint32 // of a single user; the group of a user of a range has the same number
}

var userRange = regexp.MustCompile(`^([0-9]{1,10})-([0-9]{1,10})$`)

// users reads user and per_realm of a plugin block, and checks that no plugin before it has one of its users.
func users(n node, before []Plugin) (u Users, perRealm bool) {
	perRealm = n.boolean("per_realm")
	text := n.text("user")
	if text == "" {
		switch {
		case n.has("user"):
			n.fault("user", "user must not be empty", "")
		case perRealm:
			n.fault("per_realm", "per_realm needs users", `Each realm has a user of its own: write a range of user ids that nobody on the machine has, user = "210000-219999".`)
		}
		return Users{}, perRealm
	}
	ends := userRange.FindStringSubmatch(text)
	switch {
	case perRealm && ends == nil:
		n.faultShown("user", "user must be a range of user ids where per_realm is set", `Each realm takes one of them: user = "210000-219999".`)
		return Users{}, perRealm
	case !perRealm && ends != nil:
		n.faultShown("user", "user is a range of user ids, but there is one process for all realms", "Write per_realm = true, or the name or the id of one user.")
		return Users{}, perRealm
	}
	var err error
	if ends != nil {
		u, err = parseRange(ends[1], ends[2])
	} else {
		u, err = lookUp(text)
	}
	if err != nil {
		n.fault("user", err.Error(), "")
		return Users{}, perRealm
	}
	for _, p := range before {
		if p.User.First != 0 && u.First <= p.User.Last && p.User.First <= u.Last {
			n.faultShown("user", fmt.Sprintf("user overlaps with that of plugin %q", p.Name), "Processes of one user are not kept from one another: each plugin has users of its own.")
			break
		}
	}
	return u, perRealm
}

var errUserID = errors.New("user is not a user id: write a number from 1 to 4294967294; 0 is root, who is not kept from anything")

func parseRange(from, to string) (Users, error) {
	first, err := userID(from)
	if err != nil {
		return Users{}, err
	}
	last, err := userID(to)
	if err != nil {
		return Users{}, err
	}
	if last <= first {
		return Users{}, errors.New("user is not a range of at least two user ids: write the lower one first")
	}
	return Users{First: first, Last: last}, nil
}

// userID reads a user id that is neither root's nor the one that setuid(2) takes for none.
func userID(text string) (uint32, error) {
	id, err := strconv.ParseUint(text, 10, 32)
	if err != nil || id == 0 || id == 1<<32-1 {
		return 0, errUserID
	}
	return uint32(id), nil
}

// lookUp finds a user of the machine by name or id. An id that the machine does not know is a user with the group of the same
// number.
func lookUp(text string) (Users, error) {
	id, err := userID(text)
	var found *user.User
	if _, numeric := strconv.ParseUint(text, 10, 64); numeric == nil {
		if err != nil {
			return Users{}, err
		}
		found, err = user.LookupId(text)
		if _, unknown := errors.AsType[user.UnknownUserIdError](err); unknown {
			return Users{First: id, Last: id, Group: id}, nil
		}
	} else {
		found, err = user.Lookup(text)
	}
	if err != nil {
		return Users{}, errors.New("user is not a user of this machine")
	}
	if id, err = userID(found.Uid); err != nil {
		return Users{}, errors.New("user is root, who is not kept from anything")
	}
	group, err := userID(found.Gid)
	if err != nil {
		return Users{}, errors.New("user has the group of root, who is not kept from much")
	}
	return Users{First: id, Last: id, Group: group}, nil
}
