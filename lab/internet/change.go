package internet

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// Addition describes what one [Internet.Add] has added.
type Addition struct {
	Token string      `json:"token"` // for [Internet.Remove]
	File  string      `json:"file"`  // from which it was read
	Hosts []AddedHost `json:"hosts"`
}

// AddedHost is a host of an [Addition].
type AddedHost struct {
	Names     []string     `json:"names"`
	Addresses []netip.Addr `json:"addresses,omitempty"`
	Alias     string       `json:"cname,omitempty"`
}

// addition is an [Addition] that is served.
type addition struct {
	Addition
	sites []*site
	addrs []netip.Addr
}

// change is work to be done while an [Internet] is served.
type change struct {
	do   func(ctx context.Context, s *serving)
	done chan struct{} // closed once it is done
}

var errEnded = errors.New("the internet has ended")

// do has a function called between other changes.
func (i *Internet) do(ctx context.Context, do func(ctx context.Context, s *serving)) error {
	change := change{do, make(chan struct{})}
	select {
	case i.changes <- change:
		<-change.done
		return nil
	case <-i.ended:
		return errEnded
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Add adds the hosts of a file, all of them or none. Once it returns, their names are
// known and they answer. If the file has mistakes, or wants what another host has, the
// error is [Mistakes].
func (i *Internet) Add(ctx context.Context, file string, data []byte) (Addition, error) {
	var added Addition
	var err error
	if endErr := i.do(ctx, func(ctx context.Context, s *serving) { added, err = s.add(ctx, file, data) }); endErr != nil {
		return added, fmt.Errorf("add hosts: %w", endErr)
	}
	return added, err
}

// Remove removes what one [Internet.Add] has added. Once it returns, those hosts do not
// answer any more.
func (i *Internet) Remove(ctx context.Context, token string) error {
	var err error
	if endErr := i.do(ctx, func(_ context.Context, s *serving) { err = s.remove(token) }); endErr != nil {
		return fmt.Errorf("remove hosts: %w", endErr)
	}
	return err
}

// Added returns the additions that were not removed, the oldest first.
func (i *Internet) Added(ctx context.Context) (list []Addition, err error) {
	err = i.do(ctx, func(_ context.Context, s *serving) {
		for _, of := range s.added {
			list = append(list, of.Addition)
		}
	})
	return list, err
}

// ErrNotAdded is the error for a token without an addition.
var ErrNotAdded = errors.New("nothing was added with this token, or it is gone")

// hosts returns all hosts that are served.
func (s *serving) hosts() []*Host {
	hosts := pointers(s.config.Hosts)
	for _, of := range s.added {
		for _, site := range of.sites {
			hosts = append(hosts, site.host)
		}
	}
	return hosts
}

func (s *serving) add(ctx context.Context, file string, data []byte) (Addition, error) {
	own, err := parse(file, data, s.hosts())
	if err != nil {
		return Addition{}, err
	}
	of := &addition{Addition: Addition{Token: newToken(), File: file}}
	for _, host := range own {
		of.Hosts = append(of.Hosts, AddedHost{host.Names, host.Addrs, host.Alias})
	}
	if err := s.serve(ctx, of, own); err != nil {
		return Addition{}, errors.Join(fmt.Errorf("add hosts: %w", err), s.close(of))
	}
	s.added = append(s.added, of)
	return of.Addition, nil
}

// serve makes hosts answer. If it fails, [serving.close] undoes what it has done.
func (s *serving) serve(ctx context.Context, of *addition, own []*Host) (err error) {
	for _, addr := range addresses(own) {
		if err := s.config.Network.AddAddress(addr); err != nil {
			return err
		}
		of.addrs = append(of.addrs, addr)
	}
	if of.sites, err = s.open(own); err != nil {
		return err
	}
	s.accept(ctx, of.sites)
	return s.directory.set(append(s.hosts(), own...))
}

func (s *serving) remove(token string) error {
	i := slices.IndexFunc(s.added, func(of *addition) bool { return of.Token == token })
	if i < 0 {
		return ErrNotAdded
	}
	of := s.added[i]
	s.added = slices.Delete(s.added, i, i+1)
	if err := errors.Join(s.directory.set(s.hosts()), s.close(of)); err != nil {
		return fmt.Errorf("remove hosts: %w", err)
	}
	return nil
}

// close ends the sites of an addition. It closes their connections before it removes
// the addresses, so that the clients notice.
func (s *serving) close(of *addition) error {
	err := closeAll(of.sites)
	for _, addr := range of.addrs {
		err = errors.Join(err, s.config.Network.DeleteAddress(addr))
	}
	return err
}

// newToken returns a unique token.
func newToken() string {
	token := make([]byte, 6)
	_, _ = rand.Read(token) // never fails
	return hex.EncodeToString(token)
}
