package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/egressplay/egressplay/lab/internet"
)

// hostsFile is a file of hosts on its way to the lab.
type hostsFile struct {
	Name string `json:"name"` // for messages
	Text []byte `json:"text"`
}

// longestHosts is how many bytes a [hostsFile] may have, as JSON.
const longestHosts = 8 << 20

// addHosts adds hosts. If they are to be held, they go when the client is gone.
func (l *lab) addHosts(w http.ResponseWriter, r *http.Request) {
	served := l.internet.Load()
	if served == nil {
		http.Error(w, errNoInternet.Error(), http.StatusServiceUnavailable)
		return
	}
	var file hostsFile
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, longestHosts)).Decode(&file); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	added, err := served.Add(r.Context(), file.Name, file.Text)
	if mistakes, ok := errors.AsType[internet.Mistakes](err); ok {
		w.WriteHeader(http.StatusUnprocessableEntity)
		_ = json.NewEncoder(w).Encode(mistakes) // the client may be gone
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	err = errors.Join(json.NewEncoder(w).Encode(added), http.NewResponseController(w).Flush())
	if r.URL.Query().Has(hold) {
		if err == nil {
			<-r.Context().Done()
		}
		// They may have been removed by their token, or the lab has ended.
		_ = served.Remove(context.WithoutCancel(r.Context()), added.Token)
	}
}

var errNoInternet = errors.New("the lab is starting and has no internet yet")

func (l *lab) removeHosts(w http.ResponseWriter, r *http.Request) {
	served := l.internet.Load()
	if served == nil {
		http.Error(w, errNoInternet.Error(), http.StatusServiceUnavailable)
		return
	}
	switch err := served.Remove(r.Context(), r.PathValue("token")); {
	case errors.Is(err, internet.ErrNotAdded):
		http.Error(w, err.Error(), http.StatusNotFound)
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func (l *lab) listHosts(w http.ResponseWriter, r *http.Request) {
	served := l.internet.Load()
	if served == nil {
		http.Error(w, errNoInternet.Error(), http.StatusServiceUnavailable)
		return
	}
	list, err := served.Added(r.Context())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_ = json.NewEncoder(w).Encode(list) // the client may be gone
}

// AddHosts adds the hosts of a file; name is the file's name in messages. They stay
// until they are removed. If the file has mistakes, the error is [internet.Mistakes].
func (c *Client) AddHosts(ctx context.Context, name string, text []byte) (internet.Addition, error) {
	added, body, err := c.addHosts(ctx, hostsPath, name, text)
	if err != nil {
		return added, err
	}
	return added, body.Close()
}

// HoldHosts adds hosts as [Client.AddHosts] does. They go when the returned function is
// called, when ctx ends, and when this process ends, however that happens.
func (c *Client) HoldHosts(ctx context.Context, name string, text []byte) (added internet.Addition, letGo func(context.Context) error, err error) {
	added, body, err := c.addHosts(ctx, hostsPath+"?"+hold, name, text)
	if err != nil {
		return added, nil, err
	}
	return added, func(ctx context.Context) error {
		// Remove them explicitly, so that they are gone when this returns.
		return errors.Join(c.RemoveHosts(ctx, added.Token), body.Close())
	}, nil
}

func (c *Client) addHosts(ctx context.Context, path, name string, text []byte) (added internet.Addition, body io.ReadCloser, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("add hosts to the lab: %w", err)
		}
	}()
	file, err := json.Marshal(hostsFile{name, text})
	if err != nil {
		return added, nil, err
	}
	body, err = c.ask(ctx, http.MethodPost, path, bytes.NewReader(file))
	if err != nil {
		return added, nil, err
	}
	if err := json.NewDecoder(body).Decode(&added); err != nil {
		return added, nil, errors.Join(err, body.Close())
	}
	return added, body, nil
}

// RemoveHosts removes the hosts that were added with a token.
func (c *Client) RemoveHosts(ctx context.Context, token string) error {
	body, err := c.ask(ctx, http.MethodDelete, hostsPath+"/"+url.PathEscape(token), nil)
	if err != nil {
		return fmt.Errorf("remove hosts of the lab: %w", err)
	}
	return body.Close()
}

// Hosts returns the additions that were not removed.
func (c *Client) Hosts(ctx context.Context) ([]internet.Addition, error) {
	return list[internet.Addition](ctx, c, hostsPath, "hosts")
}
