package image

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	securejoin "github.com/cyphar/filepath-securejoin"
)

// Users are the users and groups that an image has in /etc/passwd and /etc/group.
type Users struct {
	users  []User
	groups []group
}

// A User is a line of /etc/passwd.
type User struct {
	Name     string
	UID, GID int
	Home     string
}

type group struct {
	name    string
	gid     int
	members []string
}

// usersOf reads the users of an unpacked image. Without the files it returns no users.
func usersOf(ctx context.Context, dir string) (*Users, error) {
	u := &Users{}
	for _, file := range []struct {
		name string
		line func(fields []string)
	}{{"/etc/passwd", u.addUser}, {"/etc/group", u.addGroup}} {
		text, err := readWithin(ctx, dir, file.name)
		if err != nil {
			return nil, fmt.Errorf("read %s of the image: %w", file.name, withoutPath(err))
		}
		for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
			file.line(strings.Split(lines.Text(), ":"))
		}
	}
	return u, nil
}

// readWithin reads a regular file of an image. It returns nothing for a missing file.
func readWithin(ctx context.Context, dir, name string) ([]byte, error) {
	target, err := securejoin.SecureJoin(dir, name)
	if err != nil {
		return nil, err
	}
	info, err := os.Lstat(target)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	f, err := os.Open(target)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(limited(ctx, f, DefaultLimits.Text, name))
}

// addUser adds a line of /etc/passwd. As programs do, it leaves out an invalid line,
// and also one with ids that a lab does not have.
func (u *Users) addUser(fields []string) {
	if len(fields) < 6 {
		return
	}
	uid, err1 := strconv.Atoi(fields[2])
	gid, err2 := strconv.Atoi(fields[3])
	if err1 == nil && err2 == nil && isID(uid) && isID(gid) {
		u.users = append(u.users, User{Name: fields[0], UID: uid, GID: gid, Home: fields[5]})
	}
}

func (u *Users) addGroup(fields []string) {
	if len(fields) < 4 {
		return
	}
	if gid, err := strconv.Atoi(fields[2]); err == nil && isID(gid) {
		u.groups = append(u.groups, group{fields[0], gid, strings.Split(fields[3], ",")})
	}
}

// ByID returns the user with an id. A user whom the image does not know is in the group
// root and has the home folder /.
func (u *Users) ByID(uid int) User {
	for _, user := range u.users {
		if user.UID == uid {
			if user.Home == "" {
				user.Home = "/"
			}
			return user
		}
	}
	return User{UID: uid, Home: "/"}
}

// GroupsOf returns the further groups of a user, according to /etc/group.
func (u *Users) GroupsOf(name string) []int {
	var gids []int
	for _, g := range u.groups {
		if name != "" && slices.Contains(g.members, name) {
			gids = append(gids, g.gid)
		}
	}
	return gids
}

// Find returns the ids of the user of a configuration, which is USER or USER:GROUP,
// each a name or a number. byName is USER if that is a name.
func (u *Users) Find(spec string) (uid, gid int, byName string, err error) {
	name, groupName, hasGroup := strings.Cut(spec, ":")
	if name != "" {
		if n, err := strconv.Atoi(name); err == nil {
			uid, gid = n, u.ByID(n).GID
		} else {
			i := slices.IndexFunc(u.users, func(user User) bool { return user.Name == name })
			if i < 0 {
				return 0, 0, "", fmt.Errorf("the image runs as the user %q, who is not in its /etc/passwd", name)
			}
			uid, gid, byName = u.users[i].UID, u.users[i].GID, name
		}
	} else {
		gid = u.ByID(0).GID
	}
	if hasGroup && groupName != "" {
		if n, err := strconv.Atoi(groupName); err == nil {
			gid = n
		} else {
			i := slices.IndexFunc(u.groups, func(g group) bool { return g.name == groupName })
			if i < 0 {
				return 0, 0, "", fmt.Errorf("the image runs as the group %q, which is not in its /etc/group", groupName)
			}
			gid = u.groups[i].gid
		}
	}
	if !isID(uid) || !isID(gid) {
		return 0, 0, "", fmt.Errorf("the image runs as user %d and group %d, and a lab has ids up to %d", uid, gid, maxID)
	}
	return uid, gid, byName, nil
}

func isID(id int) bool { return id >= 0 && id <= maxID }
