// Package cluster is the small part of the Kubernetes API that steps need: objects,
// pods, commands in containers, logs.
//
//	Interface ─┬─ *Client           a real API server, through client-go
//	           └─ clustertest.Fake  for unit tests
//
// One client keeps one HTTP connection, one discovery and one set of credentials for a
// whole run, has no rate limit of its own, and never uses a cluster that nobody named.
package cluster
