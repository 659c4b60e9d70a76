package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// checksumsFile has the SHA-256 of each file, as sha256sum -c reads it.
const checksumsFile = "checksums.txt"

// checksums writes the checksums of all files of the release.
func (r *release) checksums() error {
	entries, err := os.ReadDir(r.out)
	if err != nil {
		return err
	}
	return toFile(filepath.Join(r.out, checksumsFile), func(w io.Writer) error {
		for _, e := range entries {
			if e.Name() == checksumsFile {
				continue
			}
			sum, err := checksum(filepath.Join(r.out, e.Name()))
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(w, "%s  %s\n", sum, e.Name()); err != nil {
				return err
			}
		}
		return nil
	})
}

func checksum(path string) (string, error) {
	sum := sha256.New()
	if err := copyFile(sum, path); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
