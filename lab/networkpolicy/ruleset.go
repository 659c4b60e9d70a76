package networkpolicy

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/egressplay/egressplay/lab/network"
	"sigs.k8s.io/knftables"
)

// table is the table of nftables that this package owns.
const table = "networkpolicy"

// ruleset is the content of the kernel's rules. A pod that is isolated in a direction
// is a key of that direction. Its value lists what is allowed nevertheless, as nftables
// matches. An empty match matches everything.
type ruleset struct {
	pods            []netip.Addr // all, isolated or not
	ingress, egress map[netip.Addr][]string
}

// transaction returns a transaction that replaces the whole table. The kernel switches
// from the old rules to the new ones at once: there is no moment without rules.
//
//	forward: established? accept ─► itself? accept ─► no pod? drop ─► egress of the sender ─► ingress of the receiver
//	input:   established? accept ─────────────────► no pod? drop ─► egress of the sender
//
// Pods that are isolated alike in a direction have a chain for it, in which a match
// returns to the calling chain and the end drops. ("accept" would end the forward chain
// before the receiver is asked.)
func (r ruleset) transaction(nft knftables.Interface) *knftables.Transaction {
	tx := nft.NewTransaction()
	tx.Add(&knftables.Table{}) // so that there is a table to delete
	tx.Delete(&knftables.Table{})
	tx.Add(&knftables.Table{})

	tx.Add(&knftables.Set{Name: "pods", Type: "ipv4_addr"})
	tx.Add(&knftables.Set{Name: "itself", Type: "ipv4_addr . ipv4_addr"}) // nftables cannot compare two fields
	for _, ip := range r.pods {
		tx.Add(&knftables.Element{Set: "pods", Key: []string{ip.String()}})
		tx.Add(&knftables.Element{Set: "itself", Key: []string{ip.String(), ip.String()}})
	}
	isolate(tx, "egress", r.egress)
	isolate(tx, "ingress", r.ingress)

	const noPod = "!= @pods drop"
	hook(tx, knftables.ForwardHook,
		"ct state established,related accept",
		"ip saddr . ip daddr @itself accept",
		"ip saddr "+network.PodCIDR+" ip saddr "+noPod,
		"ip daddr "+network.PodCIDR+" ip daddr "+noPod,
		"ip saddr vmap @egress",
		"ip daddr vmap @ingress",
	)
	hook(tx, knftables.InputHook,
		"ct state established,related accept",
		"ip saddr "+network.NodeIP+" accept",
		"ip saddr "+network.PodCIDR+" ip saddr "+noPod,
		"ip saddr vmap @egress",
	)
	return tx
}

// isolate adds the map from the pods that are isolated in a direction to their chains.
// The map is named after the direction.
func isolate(tx *knftables.Transaction, direction string, pods map[netip.Addr][]string) {
	tx.Add(&knftables.Map{Name: direction, Type: "ipv4_addr : verdict"})
	chains := map[string]string{} // by what they allow
	for _, ip := range slices.SortedFunc(maps.Keys(pods), netip.Addr.Compare) {
		allowed := strings.Join(pods[ip], "\n")
		chain, ok := chains[allowed]
		if !ok {
			chain = fmt.Sprintf("%s-%d", direction, len(chains))
			chains[allowed] = chain
			tx.Add(&knftables.Chain{Name: chain})
			for _, match := range pods[ip] {
				tx.Add(&knftables.Rule{Chain: chain, Rule: join(match, "return")})
			}
			tx.Add(&knftables.Rule{Chain: chain, Rule: "drop"})
		}
		tx.Add(&knftables.Element{Map: direction, Key: []string{ip.String()}, Value: []string{"jump " + chain}})
	}
}

// hook adds a chain that the kernel calls, named after its hook.
func hook(tx *knftables.Transaction, hook knftables.BaseChainHook, rules ...string) {
	tx.Add(&knftables.Chain{
		Name:     string(hook),
		Type:     new(knftables.FilterType),
		Hook:     &hook,
		Priority: new(knftables.FilterPriority),
	})
	for _, rule := range rules {
		tx.Add(&knftables.Rule{Chain: string(hook), Rule: rule})
	}
}
