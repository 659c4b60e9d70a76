package starter

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// users are the users of every container: Debian's, which the packages of images rely
// on (base-passwd, passwd.master), and those of the lab's own images.
var users = []User{
	{"root", 0, 0, "/root", "/bin/sh"},
	{"daemon", 1, 1, "/usr/sbin", nologin},
	{"bin", 2, 2, "/bin", nologin},
	{"sys", 3, 3, "/dev", nologin},
	{"mail", 8, 8, "/var/mail", nologin},
	{"proxy", 13, 13, "/bin", nologin},
	{"www-data", 33, 33, "/var/www", nologin},
	{"curl_user", 100, 101, "/home/curl_user", "/bin/sh"},
	{"istio-proxy", 1337, 1337, "/home/istio-proxy", "/bin/sh"},
	{"nobody", 65534, 65534, "/nonexistent", nologin},
}

const nologin = "/usr/sbin/nologin"

// otherGroups are the groups that are not a user's own.
var otherGroups = []struct {
	name string
	gid  int
}{{"adm", 4}, {"tty", 5}, {"disk", 6}, {"utmp", 43}, {"shadow", 42}, {"staff", 50}, {"users", 100}, {"nogroup", 65534}}

// A User is one of the users of every container.
type User struct {
	Name     string
	UID, GID int
	Home     string
	Shell    string
}

// UserByID returns a user of every container. An unknown user is in the group root and
// has the home folder /, as in other container runtimes.
func UserByID(uid int) User {
	for _, u := range users {
		if u.UID == uid {
			return u
		}
	}
	return User{Home: "/"}
}

// caLinks are the names by which programs of other distributions look for the trust
// bundle.
var caLinks = []string{
	"/etc/ssl/cert.pem",
	"/etc/pki/tls/cert.pem",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
}

// CABundle is the path of the trust bundle in the container.
const CABundle = "/etc/ssl/certs/ca-certificates.crt"

// etc makes /etc. It takes from the machine only the files that belong to the programs
// in /usr.
func (sp *Spec) etc() error {
	var passwd, group strings.Builder
	for _, u := range users {
		fmt.Fprintf(&passwd, "%s:x:%d:%d:%s:%s:%s\n", u.Name, u.UID, u.GID, u.Name, u.Home, u.Shell)
		if u.Name != "nobody" { // nobody is in nogroup
			fmt.Fprintf(&group, "%s:x:%d:\n", u.Name, u.GID)
		}
	}
	for _, g := range otherGroups {
		fmt.Fprintf(&group, "%s:x:%d:\n", g.name, g.gid)
	}
	files := sp.hostFiles()
	files["passwd"], files["group"] = passwd.String(), group.String()
	files["nsswitch.conf"] = "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n"
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(sp.Root, "etc", name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	if err := os.Symlink("/proc/mounts", filepath.Join(sp.Root, "etc/mtab")); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	for _, path := range []string{
		"/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d",
		"/etc/protocols", "/etc/services", "/etc/ssl/openssl.cnf",
	} {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := sp.mount(Mount{From: path, To: path, Readonly: true}); err != nil {
			return err
		}
	}
	return sp.certificates()
}

// hostFiles returns the files of /etc that are the pod's own, in every container.
func (sp *Spec) hostFiles() map[string]string {
	return map[string]string{
		"hostname":    sp.Hostname + "\n",
		"hosts":       "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n",
		"resolv.conf": sp.Resolv,
	}
}

// certificates makes the folder of certificate authorities: it has either the trust
// bundle alone, under the names by which programs know it, or the content of the
// machine's folder.
func (sp *Spec) certificates() error {
	if sp.TrustBundle == "" {
		if !isDir("/etc/ssl/certs") {
			return nil
		}
		return sp.mount(Mount{From: "/etc/ssl/certs", To: "/etc/ssl/certs", Readonly: true})
	}
	if err := sp.mount(Mount{From: sp.TrustBundle, To: CABundle, Readonly: true}); err != nil {
		return err
	}
	for _, link := range caLinks {
		target, err := sp.parentOf(link)
		if err != nil {
			return err
		}
		if err := os.Symlink(CABundle, target); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}
