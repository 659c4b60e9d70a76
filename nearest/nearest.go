// Package nearest finds the known name that an unknown one is most probably a
// slip of.
package nearest

import "strings"

// Name returns the known name that name is most probably a slip of, and whether
// one is near.
func Name(name string, known []string) (string, bool) {
	best, found := "", false
	least := len(name)/3 + 2 // one more than is allowed
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k), least); d < least {
			best, least, found = k, d, true
		}
	}
	return best, found
}

// distance returns how many letters must be added, removed, replaced, or
// swapped with their neighbour to make b of a; at most most.
func distance(a, b string, most int) int {
	if abs(len(a)-len(b)) >= most {
		return most
	}
	// Rows of the table of distances between the beginnings of a and of b:
	// this one and the two before it.
	before2, before, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before2, before, row = before, row, before2
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(before[j]+1, row[j-1]+1, before[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before2[j-2]+1)
			}
		}
	}
	return min(row[len(b)], most)
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}

// Within reports whether so many letters at most must be added, removed, replaced or
// swapped with their neighbour to make b of a.
func Within(a, b string, most int) bool {
	return distance(strings.ToLower(a), strings.ToLower(b), most+1) <= most
}
