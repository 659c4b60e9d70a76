package expect

// InOrder returns the longest series of pairs that match, in order: each has an index
// below n and one below m, and both grow from pair to pair.
func InOrder(n, m int, match func(i, j int) bool) (pairs [][2]int) {
	fits := make([][]bool, n)
	for i := range fits {
		fits[i] = make([]bool, m)
		for j := range fits[i] {
			fits[i][j] = match(i, j)
		}
	}
	length := make([][]int, n+1)
	for i := range length {
		length[i] = make([]int, m+1)
	}
	for i := n - 1; i >= 0; i-- {
		for j := m - 1; j >= 0; j-- {
			length[i][j] = max(length[i+1][j], length[i][j+1])
			if fits[i][j] {
				length[i][j] = max(length[i][j], length[i+1][j+1]+1)
			}
		}
	}
	for i, j := 0, 0; i < n && j < m; {
		switch {
		case fits[i][j] && length[i][j] == length[i+1][j+1]+1:
			pairs = append(pairs, [2]int{i, j})
			i++
			j++
		case length[i+1][j] >= length[i][j+1]:
			i++
		default:
			j++
		}
	}
	return pairs
}
