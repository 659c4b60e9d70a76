// Package istio defines which parts of Istio a lab has, and their settings. Everything
// is Istio's own: Istio's renderer renders the charts that istiod's module embeds, with
// the settings in operator.yaml. To change the mesh of every lab, edit that file; it
// gives the reason for each setting.
package istio

import _ "embed"

// Namespace is the namespace of istiod and the egress gateway.
const Namespace = "istio-system"

// Validator is the name of the webhook configuration by which the API server has istiod
// validate every Istio object.
const Validator = "istiod-default-validator"

// Operator is the IstioOperator, in YAML, with which the charts are rendered.
//
//go:embed operator.yaml
var Operator []byte

// Bootstrap is the template from which pilot-agent makes Envoy's configuration: a
// copy of tools/packaging/common/envoy_bootstrap.json of istio/istio, which is
// /var/lib/istio/envoy/envoy_bootstrap_tmpl.json in the image proxyv2.
//
//go:embed envoy_bootstrap.json
var Bootstrap []byte
