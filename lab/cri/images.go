package cri

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/egressplay/egressplay/lab/cri/starter"
)

// An Image is what a container's files and process are made from. Each image of the
// lab's own is based on the machine's /usr. There is no registry: these images are the
// rows of a table, see [Images]; a user loads others with [Server.Load].
type Image struct {
	// Names are the last elements of the references that mean this image:
	// "curl" is any .../curl, "curlimages/curl" is any .../curlimages/curl, with
	// any tag or digest. The first one is the image's id.
	Names []string

	// Layers are folders that look like a root (usr, etc, var, ...) and lie over
	// the machine's files, the first on top. None may be inside /usr, which the
	// kernel refuses.
	Layers []string

	// HowToGet tells the user what to do if the layers are missing. With it, missing
	// layers are no error of the configuration: the server refuses a container of the
	// image with this text until they exist. "" means that they must exist.
	HowToGet string

	// Files are single files of the machine by their path in the container. They
	// are mounted, not copied, and cannot be written. Below /usr, except in /usr/local,
	// there must be such a file, or a folder of a layer, to mount it on.
	Files map[string]string

	Dirs  []starter.Dir     // folders that must exist
	Links map[string]string // symbolic links: path to target

	Entrypoint []string // what a pod's command replaces
	Cmd        []string // what a pod's args replace
	Env        []string // NAME=VALUE, under the pod's own
	WorkingDir string   // "" is /
	StopSignal syscall.Signal
	UID, GID   int64 // of the process, if the pod names none

	size   uint64  // in bytes
	loaded *loaded // nil for an image of the lab's own
}

// ImagePaths has the paths of the programs that [Images] are made of.
type ImagePaths struct {
	Istiod    string // pilot-discovery
	Agent     string // pilot-agent
	Envoy     string // the proxy
	Bootstrap string // Istio's template of Envoy's configuration (tools/packaging/common/envoy_bootstrap.json)
	CoreDNS   string
	HTTPBin   string // egressplay-lab, which serves as go-httpbin with the argument ArgHTTPBin
	Nginx     string // folder of its files, as scripts/images makes it; Squid is one too
	Squid     string
}

// ArgHTTPBin is the argument with which egressplay-lab serves as go-httpbin.
const ArgHTTPBin = "go-httpbin"

// makeImages tells how to get the images that are folders.
const makeImages = "run `make images` in the checkout of egressplay; the pod then starts by itself"

// Images returns every image of the lab. To add an image, add a row.
func Images(p ImagePaths) []Image {
	return []Image{
		{ // curl, sh and the machine's usual tools; user as in the image of that name
			Names:      []string{"curl"},
			Entrypoint: []string{"/bin/sh", "-ec", `case "$1" in -*) set -- curl "$@";; esac; exec "$@"`, "curl"},
			Cmd:        []string{"curl"},
			UID:        100, GID: 101,
			Dirs: []starter.Dir{{Path: "/home/curl_user", Mode: 0o755, UID: 100, GID: 101}},
		},
		{ // the same tools for root; curl-ssl is what the sample workload was before it was curl
			Names: []string{"sleep", "governmentpaas/curl-ssl"},
			Cmd:   []string{"sleep", "infinity"},
		},
		{ // istiod
			Names:      []string{"pilot"},
			Files:      map[string]string{"/usr/local/bin/pilot-discovery": p.Istiod},
			Entrypoint: []string{"/usr/local/bin/pilot-discovery"},
			UID:        1337, GID: 1337,
		},
		{ // sidecars, gateways and istio-init
			Names: []string{"proxyv2"},
			Files: map[string]string{
				"/usr/local/bin/pilot-agent":                     p.Agent,
				"/usr/local/bin/envoy":                           p.Envoy,
				"/var/lib/istio/envoy/envoy_bootstrap_tmpl.json": p.Bootstrap,
			},
			Dirs:       []starter.Dir{{Path: "/etc/istio/proxy", Mode: 0o775, UID: 1337, GID: 1337}},
			Entrypoint: []string{"/usr/local/bin/pilot-agent"},
		},
		{
			Names:      []string{"coredns"},
			Files:      map[string]string{"/coredns": p.CoreDNS},
			Entrypoint: []string{"/coredns"},
		},
		{ // httpbin as Istio's samples have it; user as in the image of that name
			Names: []string{"go-httpbin"},
			Files: map[string]string{"/usr/local/bin/go-httpbin": p.HTTPBin},
			Cmd:   []string{"/usr/local/bin/go-httpbin", ArgHTTPBin},
			UID:   65532, GID: 65532,
		},
		{ // Debian's nginx, with its log and its page at the paths of the official image
			Names:    []string{"nginx"},
			Layers:   []string{p.Nginx},
			HowToGet: makeImages,
			Dirs:     []starter.Dir{{Path: "/var/log/nginx", Mode: 0o755}, {Path: "/var/lib/nginx", Mode: 0o755}, {Path: "/var/www", Mode: 0o755}},
			Links: map[string]string{
				"/var/log/nginx/access.log": "/dev/stdout",
				"/var/log/nginx/error.log":  "/dev/stderr",
				"/var/www/html":             "/usr/share/nginx/html",
			},
			Entrypoint: []string{"/usr/sbin/nginx"},
			Cmd:        []string{"-g", "daemon off;"},
		},
		{ // Debian's squid, as its user proxy from the start: it would become that user in any case
			Names:    []string{"squid"},
			Layers:   []string{p.Squid},
			HowToGet: makeImages,
			Dirs: []starter.Dir{
				{Path: "/var/log/squid", Mode: 0o755, UID: 13, GID: 13},
				{Path: "/var/spool/squid", Mode: 0o755, UID: 13, GID: 13},
				{Path: "/run", Mode: 0o755, UID: 13, GID: 13}, // its pid file
			},
			Entrypoint: []string{"/usr/sbin/squid"},
			Cmd:        []string{"-f", "/etc/squid/squid.conf", "-NYCd", "1"},
			// At SIGTERM it waits for its clients, 30s by default (shutdown_lifetime).
			StopSignal: syscall.SIGINT,
			UID:        13, GID: 13,
		},
	}
}

// id returns the runtime's name of the image, which is also a reference to it.
func (im *Image) id() string {
	if im.loaded != nil {
		return im.loaded.ID
	}
	return "lab/" + im.Names[0]
}

// matches reports whether a reference means the image.
func (im *Image) matches(ref string) bool {
	if im.loaded != nil {
		return im.loaded.Means(ref)
	}
	ref, _, _ = strings.Cut(ref, "@")
	if i := strings.LastIndex(ref, ":"); i > strings.LastIndex(ref, "/") {
		ref = ref[:i]
	}
	return slices.ContainsFunc(im.Names, func(name string) bool {
		return ref == name || strings.HasSuffix(ref, "/"+name)
	}) || ref == im.id()
}

// check returns an error if something is wrong with the image, else how many bytes it
// has.
func (im *Image) check() (size uint64, err error) {
	if len(im.Names) == 0 {
		return 0, fmt.Errorf("an image without a name: %+v", *im)
	}
	if im.UID < 0 || im.UID > maxID || im.GID < 0 || im.GID > maxID {
		return 0, fmt.Errorf("image %s: user %d:%d: want ids up to %d", im.Names[0], im.UID, im.GID, maxID)
	}
	for _, file := range im.Files {
		info, err := os.Stat(file)
		if err != nil {
			return 0, fmt.Errorf("image %s: %w", im.Names[0], err)
		}
		size += uint64(info.Size())
	}
	if im.absent() {
		return size, nil
	}
	for _, layer := range im.Layers {
		if strings.HasPrefix(filepath.Clean(layer)+"/", "/usr/") || strings.ContainsAny(layer, ":,\\") {
			return 0, fmt.Errorf("image %s: layer %s: overlay takes no folder inside /usr and no ':', ',' or '\\' in its path", im.Names[0], layer)
		}
		err := filepath.WalkDir(layer, func(_ string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			info, err := d.Info()
			if err == nil {
				size += uint64(info.Size())
			}
			return err
		})
		if err != nil {
			return 0, fmt.Errorf("image %s: layer: %w", im.Names[0], err)
		}
	}
	return size, nil
}

// absent reports whether the image is optional and its files are missing.
func (im *Image) absent() bool {
	return im.HowToGet != "" && slices.ContainsFunc(im.Layers, func(layer string) bool {
		_, err := os.Stat(layer)
		return errors.Is(err, fs.ErrNotExist)
	})
}

// find returns the image that a reference means; the user's own come first. It needs
// Server.mu.
func (s *Server) find(ref string) (*Image, error) {
	var names []string
	for _, im := range s.all() {
		names = append(names, im.shownNames()...)
		if !im.matches(ref) {
			continue
		}
		if im.absent() {
			return nil, status.Errorf(codes.NotFound, "the files of the lab's image %s are not there: %s", im.Names[0], im.HowToGet)
		}
		return im, nil
	}
	slices.Sort(names)
	return nil, status.Errorf(codes.NotFound, "the lab has no image %q; it has: %s. Load one with `egressplay lab load ARCHIVE`", ref, strings.Join(names, ", "))
}

// all returns the images, the user's own first; it needs Server.mu.
func (s *Server) all() []*Image {
	list := slices.Clone(s.loaded)
	for i := range s.images {
		list = append(list, &s.images[i])
	}
	return list
}

// describe returns the image in the kubelet's form. Images are pinned,
// so the kubelet never tries to make room by removing one. It needs Server.mu.
func (im *Image) describe() *runtimeapi.Image {
	described := &runtimeapi.Image{
		Id:       im.id(),
		RepoTags: im.Names,
		Size:     max(1, im.size), // the kubelet takes 0 as not set
		Uid:      &runtimeapi.Int64Value{Value: im.UID},
		Pinned:   true,
	}
	if name := im.username(); name != "" { // a name does not show the kubelet whether it is root
		described.Uid, described.Username = nil, name
	}
	return described
}

// ListImages implements the ImageService.
func (s *Server) ListImages(_ context.Context, r *runtimeapi.ListImagesRequest) (*runtimeapi.ListImagesResponse, error) {
	ref := r.GetFilter().GetImage().GetImage()
	list := &runtimeapi.ListImagesResponse{}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, im := range s.all() {
		if (ref == "" || im.matches(ref)) && !im.absent() {
			list.Images = append(list.Images, im.describe())
		}
	}
	return list, nil
}

// ImageStatus implements the ImageService. For an unknown image it returns an empty
// answer and no error; the kubelet then asks to pull it.
func (s *Server) ImageStatus(_ context.Context, r *runtimeapi.ImageStatusRequest) (*runtimeapi.ImageStatusResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	im, err := s.find(r.GetImage().GetImage())
	if err != nil {
		return &runtimeapi.ImageStatusResponse{}, nil
	}
	return &runtimeapi.ImageStatusResponse{Image: im.describe()}, nil
}

// PullImage implements the ImageService. There is nowhere to pull from: an image of the
// lab exists already, any other gives the status NotFound, which a pod shows as
// ErrImagePull.
func (s *Server) PullImage(_ context.Context, r *runtimeapi.PullImageRequest) (*runtimeapi.PullImageResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	im, err := s.find(r.GetImage().GetImage())
	if err != nil {
		return nil, err
	}
	return &runtimeapi.PullImageResponse{ImageRef: im.id()}, nil
}

// RemoveImage implements the ImageService, by refusing.
func (s *Server) RemoveImage(_ context.Context, r *runtimeapi.RemoveImageRequest) (*runtimeapi.RemoveImageResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	im, err := s.find(r.GetImage().GetImage())
	if err != nil {
		return &runtimeapi.RemoveImageResponse{}, nil // it does not exist
	}
	return nil, unimplemented("remove the image %s: images are part of the lab", im.Names[0])
}

// ImageFsInfo implements the ImageService. It describes the file system of
// [Config].Root; the kubelet looks up itself what else its eviction needs.
func (s *Server) ImageFsInfo(context.Context, *runtimeapi.ImageFsInfoRequest) (*runtimeapi.ImageFsInfoResponse, error) {
	var used uint64
	s.mu.Lock()
	for _, im := range s.all() {
		used += im.size
	}
	s.mu.Unlock()
	usage := func(bytes uint64) []*runtimeapi.FilesystemUsage {
		return []*runtimeapi.FilesystemUsage{{
			Timestamp:  time.Now().UnixNano(),
			FsId:       &runtimeapi.FilesystemIdentifier{Mountpoint: s.root},
			UsedBytes:  &runtimeapi.UInt64Value{Value: bytes},
			InodesUsed: &runtimeapi.UInt64Value{},
		}}
	}
	// A container writes into memory, not into a file system of the machine.
	return &runtimeapi.ImageFsInfoResponse{ImageFilesystems: usage(used), ContainerFilesystems: usage(0)}, nil
}
