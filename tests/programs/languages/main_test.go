package main

import "testing"

func TestSum(t *testing.T) {
	if Sum(10) != 55 {
		t.Fatal(Sum(10))
	}
}
