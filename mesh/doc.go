// Package mesh knows what only Istio means: its outbound traffic policy and
// the lines of its proxies' access logs.
package mesh
