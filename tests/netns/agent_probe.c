/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's kernel side behind a pipe: a JSON document in a line asks for one call, the answer is
 * one line. kernel_test.py starts it inside a namespace and looks with ip, bridge and nft at what
 * it did. "r" is what the call returned, "us" how long it took, "error" its sentence.
 */
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "agent/detect.h"
#include "agent/filter/tunnel_filter.h"
#include "agent/kernel/kernel.h"
#include "agent/filter/firewall.h"
#include "agent/filter/nat.h"
#include "lib/boot.h"
#include "lib/json.h"
#include "lib/mem.h"

static struct kernel *kernel;
static struct nft *nft;
static struct nat *nat;
static struct tunnel_filter *tunnel_filter;

static const char *get_text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));
	return s ? s : "";
}

static uint32_t get_number(const json_t *o, const char *key)
{
	return (uint32_t)json_integer_value(json_object_get(o, key));
}

static struct addr get_addr(const json_t *o, const char *key)
{
	struct addr a = {0};
	struct err e;
	if (json_object_get(o, key) && addr_parse(get_text(o, key), &a, &e) < 0)
		err_abort(e.text);
	return a;
}

static struct cidr *get_cidrs(const json_t *o, const char *key, size_t *n)
{
	const json_t *list = json_object_get(o, key);
	struct err e;
	*n = json_array_size(list);
	struct cidr *v = mem_new(*n + 1, sizeof(*v));
	for (size_t i = 0; i < *n; i++)
		if (cidr_parse(json_string_value(json_array_get(list, i)), &v[i], &e) < 0)
			err_abort(e.text);
	return v;
}

/* An own buffer for each thing that outlives the call: none is freed, the process is short. */
static struct vxlan_want get_vxlan(const json_t *o)
{
	struct vxlan_want w = {
		.on = json_is_true(json_object_get(o, "on")),
		.local = get_addr(o, "local"),
		.parent = (int)get_number(o, "parent"),
		.vni = get_number(o, "vni"),
		.port = (uint16_t)get_number(o, "port"),
		.vtep = {get_addr(o, "vtep4"), get_addr(o, "vtep6")},
		.mtu = get_number(o, "mtu"),
		.offload = json_is_true(json_object_get(o, "offload")),
	};
	(void)snprintf(w.device, sizeof(w.device), "%s", get_text(o, "device"));
	(void)mac_parse(get_text(o, "mac"), w.mac);
	const json_t *list = json_object_get(o, "peers");
	w.n_peers = json_array_size(list);
	struct vxlan_peer *peers = mem_new(w.n_peers + 1, sizeof(*peers));
	for (size_t i = 0; i < w.n_peers; i++) {
		const json_t *p = json_array_get(list, i);
		peers[i].node = get_addr(p, "node");
		peers[i].vtep[IPV4] = get_addr(p, "vtep4");
		peers[i].vtep[IPV6] = get_addr(p, "vtep6");
		(void)mac_parse(get_text(p, "mac"), peers[i].mac);
	}
	w.peers = peers;
	return w;
}

static json_t *cidr_text(const struct cidr *c)
{
	char text[CIDR_TEXT];
	cidr_format(c, text);
	return json_string(text);
}

static json_t *addr_text(const struct addr *a)
{
	char text[ADDR_TEXT] = "";
	if (a->family)
		addr_format(a, text);
	return json_string(text);
}

static json_t *facts_json(const struct facts *f)
{
	json_t *links = json_array(), *addrs = json_array(), *defaults = json_array();
	json_t *routes = json_array();
	for (size_t i = 0; i < f->n_links; i++) {
		const struct facts_link *l = &f->links[i];
		char mac[MAC_TEXT];
		mac_format(l->mac, mac);
		(void)json_array_append_new(
			links, json_pack("{s:i,s:s,s:s,s:i,s:i,s:s,s:b,s:b,s:b,s:b,s:b}", "index",
				       l->index, "name", l->name, "kind", l->kind, "mtu",
				       (int)l->mtu, "group", (int)l->group, "mac", mac, "up", l->up,
				       "running", l->running, "loopback", l->loopback, "strict",
				       l->strict, "noForward", l->no_forward));
	}
	for (size_t i = 0; i < f->n_addrs; i++)
		(void)json_array_append_new(
			addrs, json_pack("{s:o,s:i,s:b}", "addr", cidr_text(&f->addrs[i].addr),
				       "link", f->addrs[i].link, "usable", f->addrs[i].usable));
	for (enum family i = IPV4; i < FAMILIES; i++)
		if (f->defaults[i].link)
			(void)json_array_append_new(defaults,
				json_pack("{s:o,s:i,s:i}", "via", addr_text(&f->defaults[i].via),
					"link", f->defaults[i].link, "family", i == IPV4 ? 4 : 6));
	for (size_t i = 0; i < f->n_routes; i++)
		(void)json_array_append_new(routes,
			json_pack("{s:o,s:o,s:i}", "dst", cidr_text(&f->routes[i].dst), "via",
				addr_text(&f->routes[i].via), "link", f->routes[i].link));
	return json_pack("{s:o,s:o,s:o,s:o,s:b,s:b}", "links", links, "addrs", addrs, "defaults",
		defaults, "routes", routes, "forwards4", f->forwards[IPV4], "forwards6",
		f->forwards[IPV6]);
}

static int do_facts(json_t *answer, struct err *e)
{
	struct facts f = {0};
	int r = kernel_facts(kernel, &f, e);
	if (r < 0)
		return r;
	(void)json_object_set_new(answer, "facts", facts_json(&f));
	facts_done(&f);
	return 0;
}

/* Waits for the descriptor, at most so long; -ETIME when nothing came. */
static int do_read(const json_t *o, struct err *e)
{
	struct pollfd p = {.fd = kernel_fd(kernel), .events = POLLIN};
	if (poll(&p, 1, (int)get_number(o, "ms")) == 0)
		return err_set(e, ETIME, "nothing to read");
	return kernel_read(kernel, e);
}

static int do_sync(const json_t *o, json_t *answer)
{
	struct problems problems = {0};
	struct kernel_want w = {
		.forward = {json_is_true(json_object_get(o, "forward4")),
			json_is_true(json_object_get(o, "forward6"))},
	};
	CLEANUP_FREE struct cidr *blackholes = get_cidrs(o, "blackholes", &w.n_blackholes);
	w.blackholes = blackholes;
	for (size_t i = 0; i < 2; i++)
		w.vxlan[i] = get_vxlan(json_array_get(json_object_get(o, "vxlan"), i));
	CLEANUP_FREE struct cidr *pools = get_cidrs(o, "exitsOf", &w.exits.n_pools);
	w.exits.pools = pools;
	w.exits.table = 8266;
	for (size_t i = 0; i < w.exits.n_pools; i++)
		w.exits.used[pools[i].addr.family != AF_INET] = true;
	const json_t *ipip = json_object_get(o, "ipip");
	w.ipip = (struct ipip_want){
		.on = json_is_true(json_object_get(ipip, "on")),
		.keep = json_is_true(json_object_get(ipip, "keep")),
		.addr = get_addr(ipip, "addr"),
		.mtu = get_number(ipip, "mtu"),
	};
	uint64_t start = boot_now_ns();
	int r = kernel_sync(kernel, &w, &problems);
	(void)json_object_set_new(
		answer, "us", json_integer((json_int_t)((boot_now_ns() - start) / 1000)));
	json_t *list = json_array();
	for (size_t i = 0; i < problems.kept; i++)
		(void)json_array_append_new(list, json_string(problems.text[i]));
	(void)json_object_set_new(answer, "problems", list);
	for (size_t i = 0; i < 2; i++)
		free((void *)w.vxlan[i].peers);
	return r;
}

static int do_nat(const json_t *o, struct err *e)
{
	struct nat_want w = {0};
	CLEANUP_FREE struct cidr *pools = get_cidrs(o, "pools", &w.n_pools);
	CLEANUP_FREE struct cidr *sources = get_cidrs(o, "nat", &w.n_nat);
	w.pools = pools;
	w.nat = sources;
	return nat_sync(nat, &w, true, e);
}

/* The addresses of a list; the caller frees them. */
static struct addr *get_addrs(const json_t *o, const char *key, size_t *n)
{
	const json_t *list = json_object_get(o, key);
	struct err e;
	*n = json_array_size(list);
	struct addr *v = mem_new(*n + 1, sizeof(*v));
	for (size_t i = 0; i < *n; i++)
		if (addr_parse(json_string_value(json_array_get(list, i)), &v[i], &e) < 0)
			err_abort(e.text);
	return v;
}

static int do_tunnel_filter(const json_t *o, struct err *e)
{
	struct tunnel_filter_want w = {
		.ipip = json_is_true(json_object_get(o, "ipip")),
		.vxlan[IPV4] = json_is_true(json_object_get(o, "vxlan4")),
		.vxlan[IPV6] = json_is_true(json_object_get(o, "vxlan6")),
		.port = (uint16_t)get_number(o, "port"),
		.vni = get_number(o, "vni"),
	};
	CLEANUP_FREE struct addr *peers = get_addrs(o, "peers", &w.peers.n);
	CLEANUP_FREE struct addr *others = get_addrs(o, "others", &w.others.n);
	CLEANUP_FREE struct addr *theirs = get_addrs(o, "theirs", &w.theirs.n);
	w.peers.v = peers;
	w.others.v = others;
	w.theirs.v = theirs;
	return tunnel_filter_sync(
		tunnel_filter, &w, !json_is_true(json_object_get(o, "blindly")), e);
}

static int do_forward(const json_t *o, json_t *answer, struct err *e)
{
	size_t n;
	char text[256] = "";
	CLEANUP_FREE struct cidr *pools = get_cidrs(o, "pools", &n);
	int r = firewall_check(nft, pools, n, text, e);
	(void)json_object_set_new(answer, "text", json_string(text));
	return r;
}

static int do_detect(const json_t *o, json_t *answer, struct err *e)
{
	struct detect how;
	struct facts f = {0};
	uint8_t family = get_number(o, "family") == 6 ? AF_INET6 : AF_INET;
	int r = detect_parse(get_text(o, "how"), family, &how, e);
	if (r >= 0)
		r = kernel_facts(kernel, &f, e);
	if (r < 0)
		return r;
	struct detect_want w = {.how = &how, .family = family};
	w.route_dev = how.method == DETECT_CAN_REACH ? kernel_route_dev(kernel, &how.target) : 0;
	struct cidr found;
	int link = 0;
	r = detect_find(&w, &f, &found, &link, e);
	if (r >= 0)
		(void)json_object_set_new(answer, "address", cidr_text(&found));
	facts_done(&f);
	return r < 0 ? r : link;
}

static int run(const json_t *o, json_t *answer, struct err *e)
{
	const char *op = get_text(o, "op");
	if (strcmp(op, "facts") == 0)
		return do_facts(answer, e);
	if (strcmp(op, "read") == 0)
		return do_read(o, e);
	if (strcmp(op, "sync") == 0)
		return do_sync(o, answer);
	if (strcmp(op, "reap") == 0)
		return kernel_delete_marked_links(kernel, e);
	if (strcmp(op, "nat") == 0)
		return do_nat(o, e);
	if (strcmp(op, "tunnel_filter") == 0)
		return do_tunnel_filter(o, e);
	if (strcmp(op, "forward") == 0)
		return do_forward(o, answer, e);
	if (strcmp(op, "detect") == 0)
		return do_detect(o, answer, e);
	return err_set(e, EINVAL, "no such call: %s", op);
}

int main(void)
{
	static char line[JSON_MAX_BYTES];
	struct err e = {0};
	if (kernel_open(&kernel, &e) < 0 || nft_open(&nft, &e) < 0)
		err_abort(e.text);
	nat = nat_new(nft);
	tunnel_filter = tunnel_filter_new(nft);
	while (fgets(line, sizeof(line), stdin)) {
		CLEANUP_JSON json_t *o = json_loads(line, 0, NULL);
		CLEANUP_JSON json_t *answer = json_object();
		e = (struct err){0};
		uint64_t start = boot_now_ns();
		int r = run(o, answer, &e);
		if (!json_object_get(answer, "us"))
			(void)json_object_set_new(answer, "us",
				json_integer((json_int_t)((boot_now_ns() - start) / 1000)));
		(void)json_object_set_new(answer, "r", json_integer(r));
		(void)json_object_set_new(answer, "error", json_string(e.text));
		(void)json_object_set_new(answer, "details", json_string(e.details));
		CLEANUP_FREE char *text = json_text(answer);
		(void)printf("%s\n", text);
		(void)fflush(stdout);
	}
	kernel_close(kernel);
	nat_free(nat);
	tunnel_filter_free(tunnel_filter);
	nft_close(nft);
	return 0;
}
