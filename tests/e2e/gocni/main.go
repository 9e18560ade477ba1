// SPDX-License-Identifier: Apache-2.0

// gocni calls go-cni, the library between containerd and a CNI plugin, from the command line:
//
//	gocni CONFLIST PLUGINS VERB ID=NETNS...
//
// VERB is setup, check or remove, and is done for all ID=NETNS at once, one goroutine each. NETNS
// may be empty. What came of them is printed as one JSON object: ID to an outcome. The exit status
// says only whether the network could be loaded.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	gocni "github.com/containerd/go-cni"
)

type outcome struct {
	Addresses []string `json:"addresses,omitempty"`
	Mac       string   `json:"mac,omitempty"`
	Sandbox   string   `json:"sandbox,omitempty"`
	Servers   []string `json:"servers,omitempty"`
	Error     string   `json:"error,omitempty"`
}

func main() {
	if len(os.Args) < 5 {
		die(fmt.Errorf("usage: gocni CONFLIST PLUGINS setup|check|remove ID=NETNS..."))
	}
	network, err := gocni.New(gocni.WithPluginDir([]string{os.Args[2]}))
	if err != nil {
		die(err)
	}
	if err := network.Load(gocni.WithConfListFile(os.Args[1])); err != nil {
		die(err)
	}
	json.NewEncoder(os.Stdout).Encode(all(network, os.Args[3], os.Args[4:]))
}

func all(network gocni.CNI, verb string, attachments []string) map[string]outcome {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Second)
	defer cancel()
	outcomes := map[string]outcome{}
	var lock sync.Mutex
	var wait sync.WaitGroup
	for _, attachment := range attachments {
		id, netns, _ := strings.Cut(attachment, "=")
		wait.Add(1)
		go func() {
			defer wait.Done()
			done := one(ctx, network, verb, id, netns)
			lock.Lock()
			defer lock.Unlock()
			outcomes[id] = done
		}()
	}
	wait.Wait()
	return outcomes
}

func one(ctx context.Context, network gocni.CNI, verb, id, netns string) outcome {
	// go-cni names no JSON fields for a capability: {"Servers": [...], "Searches": null, ...}.
	options := []gocni.NamespaceOpts{
		gocni.WithArgs("IgnoreUnknown", "1"),
		gocni.WithArgs("K8S_POD_NAME", "pod-"+id),
		gocni.WithCapabilityDNS(gocni.DNS{Servers: []string{"192.0.2.53"}}),
	}
	switch verb {
	case "setup":
		result, err := network.Setup(ctx, id, netns, options...)
		if err != nil {
			return outcome{Error: err.Error()}
		}
		return described(result)
	case "check":
		return failure(network.Check(ctx, id, netns, options...))
	case "remove":
		return failure(network.Remove(ctx, id, netns, options...))
	}
	return outcome{Error: "no such verb: " + verb}
}

func described(result *gocni.Result) outcome {
	eth0 := result.Interfaces["eth0"]
	seen := outcome{Mac: eth0.Mac, Sandbox: eth0.Sandbox}
	for _, ip := range eth0.IPConfigs {
		seen.Addresses = append(seen.Addresses, ip.IP.String())
	}
	for _, dns := range result.DNS {
		seen.Servers = append(seen.Servers, dns.Nameservers...)
	}
	return seen
}

func failure(err error) outcome {
	if err != nil {
		return outcome{Error: err.Error()}
	}
	return outcome{}
}

func die(err error) {
	fmt.Fprintln(os.Stderr, "gocni:", err)
	os.Exit(2)
}
