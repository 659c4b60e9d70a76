// Package mesh has everything that is specific to Istio: the outbound traffic policy,
// the lines of the proxies' access logs, the proxies' counters, the configuration that
// each proxy has acknowledged, and what a playbook may require of a mesh.
package mesh
