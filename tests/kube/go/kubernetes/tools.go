// SPDX-License-Identifier: Apache-2.0

//go:build tools

// What is built beside main.go, so that go.mod and go.sum know what it needs.
package main

import (
	_ "k8s.io/kubernetes/test/e2e"
	_ "k8s.io/kubernetes/test/images/agnhost"
)
