package awsiam

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/realmgate/realmgate/plugins/aws/internal/ascii"
)

// namespace is that of every answer of STS.
const namespace = "https://sts.amazonaws.com/doc/2011-06-15/"

// node is an element: either it has text or it has children.
type node struct {
	name     string
	text     string
	children []*node
}

const (
	maxDepth    = 4
	maxElements = 32
)

// parse reads a whole document whose elements are all of STS' namespace. It takes nothing that an answer of STS does not
// have: no attributes, comments, directives, entities of its own, text beside elements, or anything behind the end.
func parse(raw string) (*node, error) {
	d := xml.NewDecoder(strings.NewReader(raw))
	top := &node{}
	open := []*node{top}
	for elements := 0; ; {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, errors.New("it is not XML")
		}
		at := open[len(open)-1]
		switch t := t.(type) {
		case xml.ProcInst:
			if t.Target != "xml" || len(top.children) > 0 {
				return nil, errors.New("it has a processing instruction")
			}
		case xml.StartElement:
			if elements++; elements > maxElements || len(open) > maxDepth || t.Name.Space != namespace || !plainAttributes(t.Attr) {
				return nil, errors.New("it has elements that are not those of STS")
			}
			n := &node{name: t.Name.Local}
			at.children = append(at.children, n)
			open = append(open, n)
		case xml.EndElement:
			if len(at.children) > 0 && strings.TrimSpace(at.text) != "" {
				return nil, errors.New("it has text beside elements")
			}
			open = open[:len(open)-1]
		case xml.CharData:
			at.text += string(t)
		default:
			return nil, errors.New("it has a comment or a directive")
		}
	}
	if len(top.children) != 1 || strings.TrimSpace(top.text) != "" {
		return nil, errors.New("it is not one document")
	}
	return top.children[0], nil
}

func plainAttributes(as []xml.Attr) bool {
	for _, a := range as {
		if a.Name.Local != "xmlns" || a.Name.Space != "" {
			return false
		}
	}
	return true
}

// child gives the one child of a name.
func (n *node) child(name string) (*node, error) {
	var found *node
	for _, c := range n.children {
		if c.name != name {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("it has more than one %s", name)
		}
		found = c
	}
	if found == nil {
		return nil, fmt.Errorf("it has no %s", name)
	}
	return found, nil
}

// leaf gives the text of the one child of a name.
func (n *node) leaf(name string) (string, error) {
	c, err := n.child(name)
	if err != nil {
		return "", err
	}
	if len(c.children) > 0 || c.text == "" {
		return "", fmt.Errorf("its %s is no text", name)
	}
	return c.text, nil
}

// caller is what STS says about whoever signed.
type caller struct{ account, arn, userID string }

// readCaller reads the answer to GetCallerIdentity.
func readCaller(raw string) (c caller, err error) {
	root, err := parse(raw)
	if err != nil {
		return caller{}, err
	}
	if root.name != action+"Response" {
		return caller{}, errors.New("it does not answer " + action)
	}
	result, err := root.child(action + "Result")
	if err != nil {
		return caller{}, err
	}
	for name, to := range map[string]*string{"Account": &c.account, "Arn": &c.arn, "UserId": &c.userID} {
		if *to, err = result.leaf(name); err != nil {
			return caller{}, err
		}
	}
	if len(result.children) != 3 {
		return caller{}, errors.New("its result has more than Account, Arn and UserId")
	}
	return c, nil
}

// readError gives the code of an error of STS.
func readError(raw string) (string, error) {
	root, err := parse(raw)
	if err != nil {
		return "", err
	}
	if root.name != "ErrorResponse" {
		return "", errors.New("it is no error of STS")
	}
	e, err := root.child("Error")
	if err != nil {
		return "", err
	}
	code, err := e.leaf("Code")
	if err != nil {
		return "", err
	}
	if !ascii.Consists(code, 64, ".") {
		return "", errors.New("its Code is no code")
	}
	return code, nil
}
