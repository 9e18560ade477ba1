/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The documents of a cluster that does not exist. Nodes are numbered; 250 of them share a subnet
 * below 10.200.0.0/13, so that nearly all are far from the one node that is real (it is not among
 * them). The documents look as an agent and roostctl write them, with the keys they write: the
 * size of what a reader has to read is part of what is measured.
 */
#include "tests/bench/crowd.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "cluster/keys.h"

#define PER_SUBNET 250
#define NODES_AT 0x0ac80000u /* 10.200.0.0 */
#define VTEPS_AT 0x0a600000u /* 10.96.0.0: the upper half of the pool */
#define POOL_AT 0x0a400000u  /* 10.64.0.0 */
#define BLOCK_LEN 26
#define REFLECTORS 2

bool crowd_parse_mode(const char *text, struct crowd *out)
{
	static const char *const names[] = {"mesh", "reflector", "static"};
	for (int i = 0; i < 3; i++) {
		size_t len = strlen(names[i]);
		if (strncmp(text, names[i], len) != 0)
			continue;
		out->routes = (enum crowd_routes)i;
		out->vxlan = strcmp(text + len, "-vxlan") == 0;
		return out->vxlan || text[len] == '\0';
	}
	return false;
}

static void format_ipv4(uint32_t value, char out[INET_ADDRSTRLEN])
{
	struct in_addr a = {.s_addr = htonl(value)};
	(void)inet_ntop(AF_INET, &a, out, INET_ADDRSTRLEN);
}

static void node_name(size_t i, char out[32])
{
	(void)snprintf(out, 32, "worker-%05zu.example.com", i);
}

/* The .1 of a subnet is its router. */
static uint32_t node_address(size_t i)
{
	return NODES_AT + ((uint32_t)(i / PER_SUBNET) << 8) + (uint32_t)(i % PER_SUBNET) + 2;
}

static void node_document(const struct crowd *c, size_t i, char key[], char value[])
{
	char name[32], address[INET_ADDRSTRLEN], vtep[INET_ADDRSTRLEN];
	char tunnel[160] = "";
	node_name(i, name);
	format_ipv4(node_address(i), address);
	format_ipv4(VTEPS_AT + (uint32_t)i, vtep);
	if (c->vxlan)
		(void)snprintf(tunnel, sizeof(tunnel),
			",\"ipv4VXLANTunnelAddr\":\"%s\","
			"\"vxlanTunnelMACAddr\":\"66:00:00:%02x:%02x:%02x\"",
			vtep, (unsigned)(i >> 16) & 255, (unsigned)(i >> 8) & 255,
			(unsigned)i & 255);
	(void)snprintf(value, CROWD_VALUE,
		"{\"kind\":\"Node\",\"apiVersion\":\"projectcalico.org/v3\",\"metadata\":{"
		"\"name\":\"%s\",\"labels\":{\"kubernetes.io/hostname\":\"%s\","
		"\"rack\":\"r%zu\",\"kubernetes.io/os\":\"linux\"}},"
		"\"spec\":{\"bgp\":{\"ipv4Address\":\"%s/24\"}%s}}",
		name, name, i / PER_SUBNET, address, tunnel);
	keys_resource(RESOURCE_NODE, name, key);
}

static void pool_document(const struct crowd *c, char key[], char value[])
{
	(void)snprintf(value, CROWD_VALUE,
		"{\"kind\":\"IPPool\",\"apiVersion\":\"projectcalico.org/v3\",\"metadata\":{"
		"\"name\":\"%s\"},\"spec\":{\"cidr\":\"%s\",\"blockSize\":%d,\"ipipMode\":"
		"\"Never\",\"vxlanMode\":\"%s\",\"natOutgoing\":true}}",
		CROWD_POOL_NAME, CROWD_POOL, BLOCK_LEN, c->vxlan ? "Always" : "Never");
	keys_resource(RESOURCE_IPPOOL, CROWD_POOL_NAME, key);
}

static void settings_document(const struct crowd *c, char key[], char value[])
{
	(void)snprintf(value, CROWD_VALUE,
		"{\"kind\":\"BGPConfiguration\",\"apiVersion\":\"projectcalico.org/v3\","
		"\"metadata\":{\"name\":\"default\"},\"spec\":{\"asNumber\":64512,"
		"\"nodeToNodeMeshEnabled\":%s}}",
		c->routes == CROWD_MESH ? "true" : "false");
	keys_resource(RESOURCE_BGPCONFIGURATION, "default", key);
}

static void peer_document(size_t i, char key[], char value[])
{
	char name[32];
	(void)snprintf(name, sizeof(name), "reflector-%zu", i);
	(void)snprintf(value, CROWD_VALUE,
		"{\"kind\":\"BGPPeer\",\"apiVersion\":\"projectcalico.org/v3\",\"metadata\":{"
		"\"name\":\"%s\"},\"spec\":{\"peerIP\":\"192.0.2.%zu\",\"asNumber\":64512}}",
		name, 10 + i);
	keys_resource(RESOURCE_BGPPEER, name, key);
}

size_t crowd_resources(const struct crowd *c)
{
	return c->nodes + 2 + (c->routes == CROWD_REFLECTOR ? REFLECTORS : 0);
}

void crowd_resource(
	const struct crowd *c, size_t i, char key[STORE_KEY_MAX], char value[CROWD_VALUE])
{
	if (i < c->nodes)
		node_document(c, i, key, value);
	else if (i == c->nodes)
		pool_document(c, key, value);
	else if (i == c->nodes + 1)
		settings_document(c, key, value);
	else
		peer_document(i - c->nodes - 2, key, value);
}

void crowd_block(const struct crowd *c, size_t i, char key[STORE_KEY_MAX], char value[CROWD_VALUE])
{
	char node[32];
	uint32_t at = htonl(POOL_AT + ((uint32_t)i << (32 - BLOCK_LEN)));
	struct cidr block = {.addr = {.family = AF_INET}, .len = BLOCK_LEN};
	memcpy(block.addr.bytes, &at, sizeof(at));
	node_name(i % c->nodes, node);
	keys_block(&block, key);
	(void)snprintf(value, CROWD_VALUE,
		"{\"node\":\"%s\",\"state\":\"owned\",\"since\":\"2026-01-01T00:00:00Z\","
		"\"nonce\":\"%032zx\"}",
		node, i);
}
