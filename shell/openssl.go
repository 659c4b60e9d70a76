package shell

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// opensslTool is openssl x509 -text -noout of the certificate on the standard input,
// but only for its extension with names: only a grep for that may read it, see
// [readsNames].
func opensslTool(args []string) (Filter, error) {
	if len(args) == 0 || args[0] != "x509" {
		return nil, errors.New("only openssl x509 -text -noout is known here")
	}
	rest := slices.Clone(args[1:])
	slices.Sort(rest)
	if !slices.Equal(slices.Compact(rest), []string{"-noout", "-text"}) {
		return nil, errors.New("only openssl x509 -text -noout is known here")
	}
	return func(in string) (string, string, int) {
		block, _ := pem.Decode([]byte(in))
		if block == nil {
			return "", "Could not read certificate from <stdin>\nUnable to load certificate\n", 1
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return "", "Could not read certificate from <stdin>\nUnable to load certificate\n", 1
		}
		return alternativeNames(cert), "", 0
	}, nil
}

// alternativeNames returns the names of a certificate as openssl x509 -text prints
// them; "" if it has none.
func alternativeNames(cert *x509.Certificate) string {
	for _, e := range cert.Extensions {
		if e.Id.String() != "2.5.29.17" {
			continue
		}
		critical := ""
		if e.Critical {
			critical = "critical"
		}
		return "            X509v3 Subject Alternative Name: " + critical + "\n                " + strings.Join(namesOf(e.Value), ", ") + "\n"
	}
	return ""
}

// namesOf returns the names of the extension, in their order (RFC 5280, 4.2.1.6).
func namesOf(extension []byte) (names []string) {
	var list asn1.RawValue
	if _, err := asn1.Unmarshal(extension, &list); err != nil {
		return nil
	}
	for rest := list.Bytes; len(rest) > 0; {
		var name asn1.RawValue
		var err error
		if rest, err = asn1.Unmarshal(rest, &name); err != nil {
			return names
		}
		switch name.Tag {
		case 1:
			names = append(names, "email:"+string(name.Bytes))
		case 2:
			names = append(names, "DNS:"+string(name.Bytes))
		case 6:
			names = append(names, "URI:"+string(name.Bytes))
		case 7:
			names = append(names, "IP Address:"+addressOf(name.Bytes))
		default:
			names = append(names, "othername: <unsupported>")
		}
	}
	return names
}

func addressOf(ip []byte) string {
	if len(ip) != 16 {
		return net.IP(ip).String()
	}
	parts := make([]string, 0, 8)
	for i := 0; i < len(ip); i += 2 {
		parts = append(parts, fmt.Sprintf("%X", int(ip[i])<<8|int(ip[i+1])))
	}
	return strings.Join(parts, ":")
}

// readsNames reports whether a command is a grep for the names that openssl prints,
// with at most the next line.
func readsNames(s *syntax.Stmt) bool {
	call, ok := s.Cmd.(*syntax.CallExpr)
	if !ok || len(call.Args) == 0 || call.Args[0].Lit() != "grep" {
		return false
	}
	var words []string
	for _, w := range call.Args[1:] {
		text, err := expand.Literal(nil, w)
		if err != nil {
			return false
		}
		words = append(words, text)
	}
	set, operands, err := options(words, "E", "A", nil)
	return err == nil && len(operands) == 1 && strings.Contains(operands[0], "Subject Alternative Name") && slices.Contains([]string{"", "0", "1"}, set['A'])
}
