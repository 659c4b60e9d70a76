package explain

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/egressplay/egressplay/evidence"
)

// certificateFamily is about certificates that one side does not accept.
var certificateFamily = family{"Certificates", certificate, []Cause{
	{"certificate-other-name", "503 and `UF` with CERTIFICATE_VERIFY_FAILED; curl 60", "The server's certificate is for another name.", "Correct `subjectAltNames` or `sni` of the rule, or the address to which the host leads."},
	{"certificate-expired", "the same", "The server's certificate has expired.", "Renew it."},
	{"certificate-unknown-authority", "the same", "The authority that signed the server's certificate is not trusted.", "Name the authority: `caCertificates`, or `ca.crt` of the Secret in `credentialName`."},
	{"certificate-refused", "the same", "A rule has the proxy refuse the server's certificate.", "Look at the rule's TLS settings."},
	{"mutual-to-outside", "503 and `UF`", "A DestinationRule has the proxy speak the mesh's mutual TLS to a host outside of the mesh.", "Set `tls.mode: SIMPLE` or `MUTUAL`, or drop the rule."},
	{"client-certificate-missing", "400 from the server, or a TLS alert", "The server wants a client certificate, and the rule has the proxy show none.", "Set `tls.mode: MUTUAL` with `credentialName`."},
	{"client-certificate-refused", "400 from the server, or a TLS alert", "The server does not accept the client certificate that the rule has the proxy show.", "Put a certificate of the server's authority into the Secret."},
}}

func certificate(c *facts) []evidence.Finding {
	l := c.last()
	if c.asked.exit == 60 {
		return c.refusedByClient()
	}
	if found := c.ownCertificate(); found != nil {
		return found
	}
	if l == nil {
		return nil
	}
	u, ok := upstreamOf(l)
	if !ok {
		return nil
	}
	h := c.hop(l)
	reason := strings.ReplaceAll(l.TransportFailure, "_", " ")
	if has(l, "UF", "UC") {
		if found := c.mutualOutside(h, u); found != nil {
			return found
		}
	}
	switch {
	case strings.Contains(reason, "CERTIFICATE VERIFY FAILED"):
		return c.refusedByProxy(h, u, reason)
	case clientAlert.MatchString(reason), has(l, "UC") && c.farEndSays(certificateWanted), (l.Status == 400 || c.asked.status == 400) && clientBody.MatchString(c.printed()):
		return c.clientCertificate(h, u, reason)
	}
	return nil
}

// mutualOutside reports a rule that has the proxy show the mesh's own certificate to a
// host outside of the mesh, which does not know that certificate.
func (c *facts) mutualOutside(h hop, u upstream) []evidence.Finding {
	t := c.tlsOf(h, u)
	all := c.registered(u.host, u.port)
	outside := !slices.ContainsFunc(all, func(t target) bool {
		return t.GetKind() != "ServiceEntry" || t.text("spec", "location") == "MESH_INTERNAL"
	})
	if u.inMesh() || t.mode() != "ISTIO_MUTUAL" || len(all) == 0 || !outside {
		return nil
	}
	return one(c.found("mutual-to-outside", t.rule, t.field+".mode", c.kubectl("edit", t.rule),
		"%s has the proxy speak the mesh's mutual TLS (%s.mode ISTIO_MUTUAL) to %s, which is outside of the mesh.", c.name(t.rule), t.field, u))
}

var (
	// clientAlert matches a TLS alert by which a server refuses a client's certificate.
	// Source: RFC 8446, 6.2, in the words of BoringSSL.
	clientAlert = regexp.MustCompile(`(?i)ALERT (UNKNOWN CA|BAD CERTIFICATE|CERTIFICATE REQUIRED|CERTIFICATE UNKNOWN|CERTIFICATE EXPIRED|UNSUPPORTED CERTIFICATE|ACCESS DENIED|HANDSHAKE FAILURE)`)
	// clientBody matches the answer by which nginx refuses one.
	clientBody = regexp.MustCompile(`(?i)SSL certificate error|No required SSL certificate was sent`)
)

// certificateWanted matches what the lab's servers note about a client without a
// certificate. Source: Go, crypto/tls.
var certificateWanted = regexp.MustCompile(`didn't provide a certificate`)

// farEndSays reports whether the far end's note on a connection matches what. The
// connection was made at the time of the request, to the host that was asked for.
func (c *facts) farEndSays(what *regexp.Regexp) bool {
	if c.Attempt.Arrivals == nil {
		return false
	}
	for _, r := range c.Attempt.Arrivals.All {
		if what.MatchString(r.Error) && (r.Owner == c.asked.host || r.Site == c.asked.host || r.SNI == c.asked.host || r.Ours) {
			return true
		}
	}
	return false
}

// printed is what the command wrote.
func (c *facts) printed() string {
	if c.Attempt == nil || c.Attempt.Command == nil {
		return ""
	}
	return c.Attempt.Body + c.Attempt.Command.Stdout
}

// why returns the cause's code and the words for what is wrong with a certificate.
func why(reason string) (code, words string) {
	reason = strings.ToLower(strings.ReplaceAll(reason, "_", " "))
	switch {
	case strings.Contains(reason, "expired"):
		return "certificate-expired", "it has expired"
	case strings.Contains(reason, "san matcher"), strings.Contains(reason, "verify san"), strings.Contains(reason, "subject alt"), strings.Contains(reason, "subject name"), strings.Contains(reason, "hostname mismatch"):
		return "certificate-other-name", "it is for another name"
	case strings.Contains(reason, "issuer"), strings.Contains(reason, "self signed"), strings.Contains(reason, "self-signed"), strings.Contains(reason, "unable to verify"), strings.Contains(reason, "unknown authority"):
		return "certificate-unknown-authority", "its authority is not trusted"
	}
	return "certificate-refused", ""
}

func (c *facts) refusedByProxy(h hop, u upstream, reason string) []evidence.Finding {
	code, words := why(reason)
	t := c.tlsOf(h, u)
	who := "sidecar"
	if h.gateway {
		who = "gateway"
	}
	if t.rule.none() {
		if words == "" {
			return nil
		}
		return one(c.found(code, object{}, "", "kubectl get destinationrules -A",
			"The %s refuses the certificate of %s: %s.", who, u, words))
	}
	field := t.field
	switch names := textsAt(t.settings, "subjectAltNames"); {
	case words == "":
		words = strings.TrimSpace(reason)
	case code == "certificate-other-name" && len(names) > 0:
		field += ".subjectAltNames"
		words = "it is not for " + strings.Join(names, ", ") + " (" + field + ")"
	case code == "certificate-other-name" && textAt(t.settings, "sni") != "":
		field += ".sni"
		words = "it is not for " + textAt(t.settings, "sni") + " (" + field + ")"
	case code == "certificate-unknown-authority" && t.credential() != "":
		field += ".credentialName"
		words += ": it is not in Secret " + t.credential() + " (" + field + ")"
	case code == "certificate-unknown-authority" && textAt(t.settings, "caCertificates") != "":
		field += ".caCertificates"
		words += ": it is not in " + textAt(t.settings, "caCertificates") + " (" + field + ")"
	default:
		words += " (" + t.field + ")"
	}
	f := c.found(code, t.rule, field, c.kubectl("get", t.rule)+" -o yaml",
		"The %s refuses the certificate of %s, as %s has it check: %s.", who, u, c.name(t.rule), words)
	return one(f)
}

// refusedByClient explains curl's exit code 60: curl itself does not trust the
// server.
func (c *facts) refusedByClient() []evidence.Finding {
	code, words := why(c.asked.transfer.Error)
	if words == "" {
		return nil
	}
	server := c.asked.host
	next := "curl -v " + c.asked.url.String()
	if c.Attempt.Command != nil {
		p := c.Attempt.Command.Pod
		next = "kubectl -n " + p.Namespace + " exec " + p.Name + " -c " + p.Container + " -- curl -vso /dev/null " + c.asked.url.String()
	}
	if l := c.last(); l != nil && l.UpstreamHost != "" {
		server += " (at " + l.UpstreamHost + ")"
	}
	for _, t := range c.visible(c.registered(c.asked.host, c.asked.port)) {
		endpoints := t.maps("spec", "endpoints")
		if code == "certificate-other-name" && t.GetKind() == "ServiceEntry" && len(endpoints) == 1 && textAt(endpoints[0], "address") != c.asked.host {
			return one(c.found(code, t.object, "spec.endpoints[0].address", c.kubectl("edit", t.object),
				"The certificate that %s showed is not for it: %s sends its requests to %s (spec.endpoints[0].address).", c.asked.host, c.name(t.object), textAt(endpoints[0], "address")))
		}
	}
	return one(c.found(code, object{}, "", next, "curl does not trust the certificate that %s showed: %s.", server, words))
}

// ownCertificate explains a server that wants a certificate from a client that speaks
// TLS itself.
func (c *facts) ownCertificate() []evidence.Finding {
	if !c.asked.tls || c.asked.exit == 0 || c.asked.transfer == nil {
		return nil
	}
	said := strings.Contains(strings.ToLower(c.asked.transfer.Error), "alert certificate required")
	u, _ := upstreamOf(c.last())
	if t := c.tlsOf(c.hop(c.last()), u); t.originates() || !said && !c.farEndSays(certificateWanted) {
		return nil
	}
	p := c.Attempt.Command.Pod
	return one(c.found("client-certificate-missing", object{}, "", fmt.Sprintf("kubectl -n %s exec %s -c %s -- curl --cert FILE --key FILE %s", p.Namespace, p.Name, p.Container, c.asked.url),
		"%s wants a client certificate, and curl shows none that it takes (curl's --cert and --key).", c.asked.host))
}

// clientCertificate explains a server that wants another certificate from the client.
func (c *facts) clientCertificate(h hop, u upstream, reason string) []evidence.Finding {
	t := c.tlsOf(h, u)
	if !t.originates() {
		return nil // the client's own TLS
	}
	required := strings.Contains(reason, "REQUIRED") || strings.Contains(reason, "HANDSHAKE FAILURE") || clientBody.MatchString(c.printed()) || strings.Contains(c.printed(), "No required") || c.farEndSays(certificateWanted)
	switch t.mode() {
	case "SIMPLE":
		if required {
			return one(c.found("client-certificate-missing", t.rule, t.field+".mode", c.kubectl("edit", t.rule),
				"%s wants a client certificate, and %s has the proxy show none (%s.mode SIMPLE, not MUTUAL).", u, c.name(t.rule), t.field))
		}
	case "MUTUAL":
		from, field := "its file "+textAt(t.settings, "clientCertificate"), t.field+".clientCertificate"
		if t.credential() != "" {
			from, field = secretText(t.credential(), h.namespace), t.field+".credentialName"
		}
		return one(c.found("client-certificate-refused", t.rule, field, c.kubectl("get", t.rule)+" -o yaml",
			"%s does not accept the client certificate that %s has the proxy show: that of %s (%s).", u, c.name(t.rule), from, field))
	}
	return nil
}

func secretText(name, namespace string) string {
	return "Secret " + name + " in namespace " + namespace
}
