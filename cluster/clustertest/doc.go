// Package clustertest has a cluster in memory, and the suite that holds it and
// real clusters to the same promises.
package clustertest
