package awsiam

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/realmgate/realmgate/sdk"
)

// regions are those of each partition. A test compares them with the SDK's.
var regions = map[string][]string{
	"aws": {
		"af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-south-2", "ap-southeast-1",
		"ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5", "ap-southeast-6", "ap-southeast-7", "ca-central-1", "ca-west-1",
		"eu-central-1", "eu-central-2", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3", "il-central-1",
		"me-central-1", "me-south-1", "me-west-1", "mx-central-1", "sa-east-1", "sa-west-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2",
	},
	"aws-cn":     {"cn-north-1", "cn-northwest-1"},
	"aws-eusc":   {"eusc-de-east-1"},
	"aws-iso":    {"us-iso-east-1", "us-iso-west-1"},
	"aws-iso-b":  {"us-isob-east-1", "us-isob-west-1"},
	"aws-iso-e":  {"eu-isoe-west-1"},
	"aws-iso-f":  {"us-isof-east-1", "us-isof-south-1"},
	"aws-us-gov": {"us-gov-east-1", "us-gov-west-1"},
}

// regionForm is the form of a region's name. It matters: sts.s3.amazonaws.com would be a bucket, and anybody's.
var regionForm = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+){1,3}-[0-9]{1,2}$`)

// globalRegion is the region for which the global endpoint's requests are signed.
const globalRegion = "us-east-1"

// endpoint is an STS that may be asked.
type endpoint struct {
	scheme    string
	region    string // that requests are signed for; empty: any
	partition string // of the identities there; empty: any
}

// endpoints are found by the host that a caller signed, exactly as it is written: no port, user, dot at the end or other
// case leads to one.
type endpoints map[string]endpoint

// newEndpoints resolves the hosts of STS with the SDK: per region the regional one and that for FIPS, and the global one.
func newEndpoints(ctx context.Context, s Settings) (endpoints, error) {
	if s.STSEndpoint != "" {
		u, err := url.Parse(s.STSEndpoint)
		if err != nil {
			return nil, sdk.At(err, "sts_endpoint")
		}
		if len(s.Regions) > 0 || len(s.Partitions) > 0 {
			return nil, sdk.At(errors.New("regions and partitions choose among the endpoints of AWS, which sts_endpoint stands in for"), "sts_endpoint")
		}
		return endpoints{u.Host: {scheme: u.Scheme}}, nil
	}
	partitions := s.Partitions
	if len(partitions) == 0 {
		partitions = []string{"aws"}
	}
	es := endpoints{}
	for i, p := range partitions {
		known, ok := regions[p]
		if !ok {
			return nil, sdk.At(fmt.Errorf("there is no partition %q", p), "partitions", i)
		}
		if len(s.Regions) > 0 {
			continue
		}
		for _, r := range known {
			if err := es.add(ctx, p, r); err != nil {
				return nil, err
			}
		}
	}
	for i, r := range s.Regions {
		p, err := partitionOf(r, partitions)
		if err == nil {
			err = es.add(ctx, p, r)
		}
		if err != nil {
			return nil, sdk.At(err, "regions", i)
		}
	}
	return es, nil
}

// partitionOf finds the partition of a region, also of one that is newer than this code.
func partitionOf(region string, among []string) (string, error) {
	if !regionForm.MatchString(region) {
		return "", fmt.Errorf("%q is not the name of a region", region)
	}
	for p, known := range regions {
		if slices.Contains(known, region) {
			if !slices.Contains(among, p) {
				return "", fmt.Errorf("the region %s belongs to the partition %s, which partitions does not name", region, p)
			}
			return p, nil
		}
	}
	if len(among) != 1 {
		return "", fmt.Errorf("the region %q is not known, and so not which of the partitions it belongs to", region)
	}
	return among[0], nil
}

func (es endpoints) add(ctx context.Context, partition, region string) error {
	for _, p := range []sts.EndpointParameters{
		{Region: &region},
		{Region: &region, UseFIPS: aws.Bool(true)},
		{Region: &region, UseGlobalEndpoint: aws.Bool(true)},
	} {
		got, err := sts.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx, p)
		if err != nil {
			if p.UseFIPS != nil {
				continue // the partition has none
			}
			return fmt.Errorf("region %s: %w", region, err)
		}
		u := got.URI
		if u.Scheme != "https" || u.Path != "" || u.Port() != "" || !strings.HasPrefix(u.Host, "sts") {
			return fmt.Errorf("region %s: the SDK resolves STS to %s", region, u.Redacted())
		}
		e := endpoint{scheme: "https", region: region, partition: partition}
		if !strings.Contains(u.Host, region) {
			e.region = globalRegion
		}
		es[u.Host] = e
	}
	return nil
}
