package image

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// An image travels to a lab as a tar of its description and of its layers.
const (
	descriptionMember = "image.json"
	layerMember       = "layer.tar"
)

// Send writes an image for [Receive].
func (im *Image) Send(ctx context.Context, w io.Writer) error {
	out := tar.NewWriter(w)
	description, err := json.Marshal(im.Description)
	if err != nil {
		return err
	}
	if err := out.WriteHeader(&tar.Header{Name: descriptionMember, Size: int64(len(description)), Mode: 0o600}); err != nil {
		return err
	}
	if _, err := out.Write(description); err != nil {
		return err
	}
	for i := range im.layers {
		l := &im.layers[i]
		if err := out.WriteHeader(&tar.Header{Name: layerMember, Size: l.size, Mode: 0o600}); err != nil {
			return err
		}
		r, err := l.open()
		if err != nil {
			return err
		}
		if _, err := io.Copy(out, limited(ctx, r, l.size, l.name)); err != nil {
			return err
		}
	}
	return out.Close()
}

// Received is an image that is being received.
type Received struct {
	Description
	in *tar.Reader
}

// Receive reads the description of an image; [Received.Unpack] reads the rest.
func Receive(ctx context.Context, r io.Reader) (*Received, error) {
	received := &Received{in: tar.NewReader(r)}
	header, err := received.in.Next()
	if err != nil {
		return nil, fmt.Errorf("receive an image: %w", err)
	}
	if header.Name != descriptionMember {
		return nil, fmt.Errorf("receive an image: it begins with %q", header.Name)
	}
	text, err := io.ReadAll(limited(ctx, received.in, DefaultLimits.Text, "the description of the image"))
	if err == nil {
		err = json.Unmarshal(text, &received.Description)
	}
	if err == nil {
		err = received.check()
	}
	if err != nil {
		return nil, fmt.Errorf("receive an image: %w", err)
	}
	return received, nil
}

// check checks a description that another process has sent.
func (d *Description) check() error {
	if !digests.MatchString(d.ID) || len(d.Names) == 0 {
		return errors.New("it has no id or no name")
	}
	for _, name := range d.Names {
		if full, err := Reference(name); err != nil || full != name {
			return fmt.Errorf("%q is not a complete name of an image", name)
		}
	}
	if d.Size < 0 || d.Size > DefaultLimits.Unpacked {
		return fmt.Errorf("it has %d bytes", d.Size)
	}
	return d.Config.check()
}
