package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/egressplay/egressplay/lab/cri"
	"github.com/egressplay/egressplay/lab/image"
)

var errNoImages = errors.New("the lab is starting and takes no images yet")

// loadImage makes an image from the body of a request.
func (l *lab) loadImage(w http.ResponseWriter, r *http.Request) {
	server := l.cri.Load()
	if server == nil {
		http.Error(w, errNoImages.Error(), http.StatusServiceUnavailable)
		return
	}
	info, err := server.Load(r.Context(), r.Body)
	if err != nil {
		// The sender reads the error only after it has sent everything.
		_, _ = io.Copy(io.Discard, r.Body)
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	_ = json.NewEncoder(w).Encode(info) // the client may be gone
}

func (l *lab) listImages(w http.ResponseWriter, _ *http.Request) {
	server := l.cri.Load()
	if server == nil {
		http.Error(w, errNoImages.Error(), http.StatusServiceUnavailable)
		return
	}
	_ = json.NewEncoder(w).Encode(server.AllImages()) // as above
}

// LoadImage makes an image of the lab, for as long as the lab lives.
func (c *Client) LoadImage(ctx context.Context, im *image.Image) (info cri.ImageInfo, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, sending := io.Pipe()
	defer stream.Close() // this ends the sender, too
	go func() { sending.CloseWithError(im.Send(ctx, sending)) }()
	body, err := c.ask(ctx, http.MethodPost, imagesPath, stream)
	if err != nil {
		return info, err
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(&info); err != nil {
		return info, fmt.Errorf("read the lab's answer: %w", err)
	}
	return info, nil
}

// Images returns the images of the lab, those that were loaded first.
func (c *Client) Images(ctx context.Context) ([]cri.ImageInfo, error) {
	return list[cri.ImageInfo](ctx, c, imagesPath, "images")
}
