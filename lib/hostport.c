/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table, in the words of nft(8); what is said of IPv4 (4) is there for IPv6 (6), too:
 *
 *	map any4 { type inet_proto . inet_service : ipv4_addr . inet_service }
 *	map at4 { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service }
 *	set hairpin4 { type ipv4_addr . ipv4_addr }
 *	chain prerouting { type nat hook prerouting priority dstnat + 1; fib daddr type local jump ports }
 *	chain output { type nat hook output priority dstnat + 1; fib daddr type local jump ports }
 *	chain ports {
 *		dnat ip to ip daddr . meta l4proto . th dport map @at4
 *		dnat ip to meta l4proto . th dport map @any4
 *	}
 *	chain postrouting { type nat hook postrouting priority srcnat - 1
 *		ip saddr . ip daddr @hairpin4 masquerade
 *		ip saddr 127.0.0.0/8 ip daddr . ip daddr @hairpin4 masquerade	(::1)
 *	}
 *	chain guard-roost { type filter hook prerouting priority raw
 *		iifname "roost*" ip daddr 127.0.0.0/8 counter drop
 *	}
 *
 * A port at one address of the host comes before the same port at all of them, as with sockets. The chains
 * come right behind everybody's of the usual priority: a Service's port stays the Service's.
 *
 * The source address is kept, but in two cases. A pod that talks to itself through the host would get packets
 * from its own address, and answer them past the host (hairpin4 has its address twice). And 127.0.0.1 is no
 * address to answer to. Such a packet may leave by the pod's link at all only with route_localnet on that
 * link, which pods with a port at 127.0.0.1 get (lib/wiring.h); the guard takes back what else that setting
 * allows, packets of the pod to 127.0.0.1 of the host (CVE-2020-8558). A packet from ::1 may leave as it is, but
 * for its answer ::1 is the host's only by lo, so that the link gets a route of its own to it. Nothing needs to
 * be taken back there: no packet that has ::1 in it gets in by a link (net/ipv6/ip6_input.c).
 *
 * Nobody but the owner's pod explains an element. One whose owner has no link any more is nobody's, so a port
 * that a dead pod holds is given to the next pod that asks for it.
 */
#include "lib/hostport.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter_ipv4.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "lib/family.h"
#include "lib/hostport_list.h"
#include "lib/mem.h"
#include "lib/net_link.h"
#include "lib/netlink.h"
#include "lib/nft_batch.h"
#include "lib/nft_raw.h"
#include "lib/owned.h"
#include "lib/text.h"

#define MESSAGE 1024
#define AT_ONCE 64     /* elements of a message */
#define ELEMENT 320    /* bytes of one in a message, at most */
#define COMMENT 200    /* bytes of a comment with its NUL */
#define COMMENT_TYPE 0 /* NFTNL_UDATA_SET_ELEM_COMMENT */
#define ATTEMPTS 4

/*
 * Elements as messages.
 */

/* "HASH NAME" as nft(8) has comments: type, length, text. */
static void put_comment(struct nlmsghdr *m, const struct hostport_element *x)
{
	char hash[HASH_TEXT];
	uint8_t bytes[2 + COMMENT] = {COMMENT_TYPE};
	hash_format(&x->owner, hash);
	int len = snprintf((char *)bytes + 2, COMMENT, "%s %s", hash, x->name);
	bytes[1] = (uint8_t)(len + 1);
	netlink_put(m, NFTA_SET_ELEM_USERDATA, bytes, (size_t)len + 3);
}

static void put_value(struct nlmsghdr *m, uint16_t type, const void *bytes, size_t len)
{
	struct nlattr *nest = netlink_nest(m, type);
	netlink_put(m, NFTA_DATA_VALUE, bytes, len);
	netlink_nest_end(m, nest);
}

static void put_element(struct nlmsghdr *m, const struct hostport_element *x, bool whole)
{
	struct nlattr *nest = netlink_nest(m, NFTA_LIST_ELEM);
	put_value(m, NFTA_SET_ELEM_KEY, x->key, hostport_sets[x->set].key_len);
	if (whole && hostport_sets[x->set].data_len)
		put_value(m, NFTA_SET_ELEM_DATA, x->data, hostport_sets[x->set].data_len);
	if (whole)
		put_comment(m, x);
	netlink_nest_end(m, nest);
}

static void put_set_name(struct nlmsghdr *m, int set)
{
	netlink_put_text(m, NFTA_SET_ELEM_LIST_TABLE, HOSTPORT_TABLE);
	netlink_put_text(m, NFTA_SET_ELEM_LIST_SET, hostport_sets[set].name);
}

/* Elements, those of one set together, in messages of NFT_MSG_NEWSETELEM or _DELSETELEM. */
static void put_elements(struct nft_batch *b, uint16_t type, struct hostport_list *l)
{
	bool adds = type == NFT_MSG_NEWSETELEM;
	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), hostport_compare);
	for (size_t i = 0; i < l->n;) {
		struct nlmsghdr *m = nft_batch_put(b, type, adds ? NLM_F_CREATE | NLM_F_EXCL : 0,
			NFPROTO_INET, MESSAGE + (size_t)AT_ONCE * ELEMENT);
		int set = l->v[i].set;
		put_set_name(m, set);
		struct nlattr *list = netlink_nest(m, NFTA_SET_ELEM_LIST_ELEMENTS);
		for (size_t k = 0; k < AT_ONCE && i < l->n && l->v[i].set == set; k++)
			put_element(m, &l->v[i++], adds);
		netlink_nest_end(m, list);
	}
}

static void take_value(const struct nlattr *nest, uint8_t *out, size_t size)
{
	const struct nlattr *attr;
	NETLINK_EACH_NESTED (attr, nest)
		if (netlink_type(attr) == NFTA_DATA_VALUE && netlink_size(attr) <= size)
			memcpy(out, netlink_data(attr), netlink_size(attr));
}

static void take_comment(const struct nlattr *attr, struct hostport_element *x)
{
	const uint8_t *bytes = netlink_data(attr);
	size_t size = netlink_size(attr);
	char text[256] = "";
	if (size < 3 || bytes[0] != COMMENT_TYPE || bytes[1] > size - 2)
		return;
	memcpy(text, bytes + 2, bytes[1]);
	text[sizeof(text) - 1] = '\0';
	if (!hash_parse(text, &x->owner))
		return;
	x->is_owned = true;
	const char *name = text + HASH_TEXT - 1;
	(void)text_clean(x->name, sizeof(x->name), name + (*name == ' '));
}

/* The elements of one set in a reply; arg is a struct reply. */
struct reply {
	int set;
	struct hostport_list *out;
};

static void take_elements(const struct nlmsghdr *m, void *arg)
{
	const struct reply *reply = arg;
	const struct nlattr *list, *element, *attr;
	NETLINK_EACH_ATTR (list, m, sizeof(struct nfgenmsg)) {
		if (netlink_type(list) != NFTA_SET_ELEM_LIST_ELEMENTS)
			continue;
		NETLINK_EACH_NESTED (element, list) {
			struct hostport_element x = {.set = (uint8_t)reply->set};
			NETLINK_EACH_NESTED (attr, element) {
				if (netlink_type(attr) == NFTA_SET_ELEM_KEY)
					take_value(attr, x.key, sizeof(x.key));
				else if (netlink_type(attr) == NFTA_SET_ELEM_DATA)
					take_value(attr, x.data, sizeof(x.data));
				else if (netlink_type(attr) == NFTA_SET_ELEM_USERDATA)
					take_comment(attr, &x);
			}
			hostport_list_add(reply->out, &x);
		}
	}
}

static int list_set(struct nft_batch *b, int set, struct hostport_list *out, struct err *e)
{
	struct reply reply = {.set = set, .out = out};
	size_t before = out->n;
	int r = -EINTR;
	for (int i = 0; i < ATTEMPTS && r == -EINTR; i++) {
		out->n = before;
		put_set_name(
			nft_batch_question(b, NFT_MSG_GETSETELEM, NLM_F_DUMP, NFPROTO_INET), set);
		r = nft_batch_ask(b, take_elements, &reply, e);
	}
	return r;
}

/* Without the table there are none. */
static int list_all(struct nft_batch *b, struct hostport_list *out, struct err *e)
{
	int r = 0;
	for (int set = 0; set < SETS && r >= 0; set++) {
		r = list_set(b, set, out, e);
		if (r == -ENOENT)
			return 0;
	}
	if (out->n)
		qsort(out->v, out->n, sizeof(*out->v), hostport_compare);
	return r < 0 ? r : 0;
}

int hostport_list_read(struct hostport_list *out, struct err *e)
{
	struct nft_batch b;
	struct hostport_list l = {0};
	int r = nft_batch_open(&b, e);
	if (r >= 0)
		r = list_all(&b, &l, e);
	nft_batch_close(&b);
	if (r < 0)
		hostport_list_done(&l);
	else
		*out = l;
	return r;
}

/*
 * The table.
 */

static void put_set(struct nft_batch *b, int set)
{
	struct nlmsghdr *m = nft_batch_put(b, NFT_MSG_NEWSET, NLM_F_CREATE, NFPROTO_INET, MESSAGE);
	netlink_put_text(m, NFTA_SET_TABLE, HOSTPORT_TABLE);
	netlink_put_text(m, NFTA_SET_NAME, hostport_sets[set].name);
	netlink_put_be32(m, NFTA_SET_FLAGS, hostport_sets[set].data_len ? NFT_SET_MAP : 0);
	netlink_put_be32(m, NFTA_SET_KEY_TYPE, hostport_sets[set].key_type);
	netlink_put_be32(m, NFTA_SET_KEY_LEN, hostport_sets[set].key_len);
	netlink_put_be32(m, NFTA_SET_ID, (uint32_t)set + 1);
	if (!hostport_sets[set].data_len)
		return;
	netlink_put_be32(m, NFTA_SET_DATA_TYPE, hostport_sets[set].data_type);
	netlink_put_be32(m, NFTA_SET_DATA_LEN, hostport_sets[set].data_len);
}

static void match_family(struct nft_raw_rule r, enum family f)
{
	const uint8_t proto = f == IPV4 ? NFPROTO_IPV4 : NFPROTO_IPV6;
	nft_raw_meta(r, NFT_META_NFPROTO, NFT_REG_1);
	nft_raw_equal(r, &proto, sizeof(proto));
}

static void load_addr(struct nft_raw_rule r, enum family f, bool source, uint32_t reg)
{
	static const uint32_t first[FAMILIES] = {12, 8}; /* of the source, in the header */
	uint32_t len = (uint32_t)hostport_addr_room(f);
	struct nft_raw_bytes at = {NFT_PAYLOAD_NETWORK_HEADER, first[f] + (source ? 0 : len), len};
	nft_raw_payload(r, at, reg);
}

/* The register behind what is loaded from the first on: bytes are a multiple of four. */
static uint32_t reg_behind(size_t bytes)
{
	return bytes ? (uint32_t)(NFT_REG32_00 + bytes / 4) : NFT_REG_1;
}

static void put_dnat(struct nft_batch *b, enum family f, int set)
{
	static const struct nft_raw_bytes port = {NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2};
	size_t behind = set == AT4 ? hostport_addr_room(f) : 0;
	struct nft_raw_rule r = nft_raw_rule(b, HOSTPORT_TABLE, "ports");
	match_family(r, f);
	if (behind)
		load_addr(r, f, false, NFT_REG_1);
	nft_raw_meta(r, NFT_META_L4PROTO, reg_behind(behind));
	nft_raw_payload(r, port, reg_behind(behind + 4));
	nft_raw_map(r, hostport_sets[hostport_set_of(f, set)].name);
	nft_raw_dnat(r, f == IPV4 ? NFPROTO_IPV4 : NFPROTO_IPV6, reg_behind(hostport_addr_room(f)));
	nft_raw_rule_end(r);
}

static void put_hairpin(struct nft_batch *b, enum family f)
{
	struct nft_raw_rule r = nft_raw_rule(b, HOSTPORT_TABLE, "postrouting");
	match_family(r, f);
	load_addr(r, f, true, NFT_REG_1);
	load_addr(r, f, false, reg_behind(hostport_addr_room(f)));
	nft_raw_lookup(r, hostport_sets[hostport_set_of(f, HAIRPIN4)].name);
	nft_raw_masquerade(r);
	nft_raw_rule_end(r);
}

static void match_loopback4(struct nft_raw_rule r, bool source)
{
	static const uint8_t mask[] = {255, 0, 0, 0}, loopback[] = {127, 0, 0, 0};
	match_family(r, IPV4);
	load_addr(r, IPV4, source, NFT_REG_1);
	nft_raw_mask(r, mask, sizeof(mask));
	nft_raw_equal(r, loopback, sizeof(loopback));
}

static void match_loopback6(struct nft_raw_rule r)
{
	static const uint8_t loopback[16] = {[15] = 1};
	match_family(r, IPV6);
	load_addr(r, IPV6, true, NFT_REG_1);
	nft_raw_equal(r, loopback, sizeof(loopback));
}

static void put_from_loopback(struct nft_batch *b, enum family f)
{
	struct nft_raw_rule r = nft_raw_rule(b, HOSTPORT_TABLE, "postrouting");
	if (f == IPV4)
		match_loopback4(r, true);
	else
		match_loopback6(r);
	load_addr(r, f, false, NFT_REG_1);
	load_addr(r, f, false, reg_behind(hostport_addr_room(f)));
	nft_raw_lookup(r, hostport_sets[hostport_set_of(f, HAIRPIN4)].name);
	nft_raw_masquerade(r);
	nft_raw_rule_end(r);
}

static void put_guard(struct nft_batch *b, const char *chain, const char *prefix)
{
	struct nft_raw_rule r = nft_raw_rule(b, HOSTPORT_TABLE, chain);
	nft_raw_meta(r, NFT_META_IIFNAME, NFT_REG_1);
	nft_raw_equal(r, prefix, strlen(prefix));
	match_loopback4(r, false);
	nft_raw_counter(r);
	nft_raw_verdict(r, NF_DROP, NULL);
	nft_raw_rule_end(r);
}

static void put_jump(struct nft_batch *b, const char *chain)
{
	static const uint32_t local = RTN_LOCAL;
	struct nft_raw_rule r = nft_raw_rule(b, HOSTPORT_TABLE, chain);
	nft_raw_fib(r, NFT_FIB_RESULT_ADDRTYPE, NFTA_FIB_F_DADDR);
	nft_raw_equal(r, &local, sizeof(local));
	nft_raw_verdict(r, NFT_JUMP, "ports");
	nft_raw_rule_end(r);
}

enum { PREROUTING, OUTPUT, PORTS, POSTROUTING, GUARD, CHAINS };

static const struct {
	const char *name;
	struct nft_raw_base base;
	unsigned int rules;
} chains[CHAINS] = {
	[PREROUTING] = {"prerouting", {"nat", NF_INET_PRE_ROUTING, NF_IP_PRI_NAT_DST + 1}, 1},
	[OUTPUT] = {"output", {"nat", NF_INET_LOCAL_OUT, NF_IP_PRI_NAT_DST + 1}, 1},
	[PORTS] = {"ports", {0}, 4},
	[POSTROUTING] = {"postrouting", {"nat", NF_INET_POST_ROUTING, NF_IP_PRI_NAT_SRC - 1}, 4},
	[GUARD] = {NULL, {"filter", NF_INET_PRE_ROUTING, NF_IP_PRI_RAW}, 1}, /* one for a prefix */
};

/* The names of the chains of links with a prefix. */
struct names {
	char guard[32];
	const char *prefix;
	const char *v[CHAINS];
};

static void names_init(struct names *n, const char *prefix)
{
	(void)snprintf(n->guard, sizeof(n->guard), "guard-%.15s", prefix);
	n->prefix = prefix;
	for (int i = 0; i < CHAINS; i++)
		n->v[i] = chains[i].name ? chains[i].name : n->guard;
}

/* Everything but elements, whatever there was of it. */
static void put_all(struct nft_batch *b, const struct names *n)
{
	nft_raw_table(b, HOSTPORT_TABLE);
	for (int set = 0; set < SETS; set++)
		put_set(b, set);
	for (int i = 0; i < CHAINS; i++) {
		const struct nft_raw_base *base = chains[i].base.type ? &chains[i].base : NULL;
		nft_raw_chain(b, HOSTPORT_TABLE, n->v[i], base, 0);
		struct nlmsghdr *m = nft_batch_put(b, NFT_MSG_DELRULE, 0, NFPROTO_INET, MESSAGE);
		netlink_put_text(m, NFTA_RULE_TABLE, HOSTPORT_TABLE);
		netlink_put_text(m, NFTA_RULE_CHAIN, n->v[i]);
	}
	put_jump(b, n->v[PREROUTING]);
	put_jump(b, n->v[OUTPUT]);
	for (enum family f = IPV4; f < FAMILIES; f++) {
		put_dnat(b, f, AT4);
		put_dnat(b, f, ANY4);
		put_hairpin(b, f);
		put_from_loopback(b, f);
	}
	put_guard(b, n->guard, n->prefix);
}

struct rules {
	const struct names *names;
	unsigned int n[CHAINS];
};

static void count_rule(const struct nlmsghdr *reply, void *arg)
{
	struct rules *rules = arg;
	const struct nlattr *attr;
	char chain[64] = "";
	NETLINK_EACH_ATTR (attr, reply, sizeof(struct nfgenmsg))
		if (netlink_type(attr) == NFTA_RULE_CHAIN)
			netlink_copy_text(chain, sizeof(chain), attr);
	for (int i = 0; i < CHAINS; i++)
		rules->n[i] += strcmp(rules->names->v[i], chain) == 0;
}

/* One question: each chain has as many rules as it shall have. 1, 0 or an error. */
static int look(struct nft_batch *b, const struct names *names, struct err *e)
{
	struct rules rules = {.names = names};
	struct nlmsghdr *m = nft_batch_question(b, NFT_MSG_GETRULE, NLM_F_DUMP, NFPROTO_INET);
	netlink_put_text(m, NFTA_RULE_TABLE, HOSTPORT_TABLE);
	int r = nft_batch_ask(b, count_rule, &rules, e);
	if (r < 0)
		return r == -ENOENT || r == -EINTR ? 0 : r;
	for (int i = 0; i < CHAINS; i++)
		if (rules.n[i] != chains[i].rules)
			return 0;
	return 1;
}

static int open_names(struct nft_batch *b, struct names *names, const char *prefix, struct err *e)
{
	names_init(names, prefix);
	int r = nft_batch_open(b, e);
	return r < 0 ? r : look(b, names, e);
}

int hostport_has_table(const char *prefix, struct err *e)
{
	struct nft_batch b;
	struct names names;
	int r = open_names(&b, &names, prefix, e);
	nft_batch_close(&b);
	return r;
}

int hostport_ensure_table(const char *prefix, struct err *e)
{
	struct nft_batch b;
	struct names names;
	int r = open_names(&b, &names, prefix, e);
	if (r == 0) {
		put_all(&b, &names);
		r = nft_batch_commit(&b, e);
		r = r < 0 ? r : 1;
	} else if (r > 0) {
		r = 0;
	}
	nft_batch_close(&b);
	return r;
}

int hostport_remove_table(struct err *e)
{
	struct nft_batch b;
	int r = nft_batch_open(&b, e);
	if (r < 0)
		return r;
	struct nlmsghdr *m = nft_batch_put(&b, NFT_MSG_DELTABLE, 0, NFPROTO_INET, MESSAGE);
	netlink_put_text(m, NFTA_TABLE_NAME, HOSTPORT_TABLE);
	r = nft_batch_commit(&b, e);
	nft_batch_close(&b);
	return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

/*
 * Adding and removing.
 */

int hostport_remove(const struct hash *owners, size_t n, struct hostport_list *out, struct err *e)
{
	struct nft_batch b;
	int r = nft_batch_open(&b, e);
	int removed = -ENOENT;
	/* Somebody else may remove the same: then what is left is looked for again. */
	for (int i = 0; r >= 0 && i < ATTEMPTS && removed == -ENOENT; i++) {
		struct hostport_list all = {0}, gone = {0};
		r = list_all(&b, &all, e);
		for (size_t k = 0; k < all.n && r >= 0; k++)
			for (size_t o = 0; o < n; o++)
				if (all.v[k].is_owned && hash_equal(&all.v[k].owner, &owners[o])) {
					hostport_list_add(&gone, &all.v[k]);
					break;
				}
		put_elements(&b, NFT_MSG_DELSETELEM, &gone);
		if (r >= 0)
			removed = nft_batch_commit(&b, e);
		if (removed == 0)
			removed = (int)gone.n;
		hostport_list_done(&all);
		if (out && removed > 0)
			*out = gone;
		else
			hostport_list_done(&gone);
	}
	nft_batch_close(&b);
	return r < 0 ? r : removed;
}

/* The element of that key, whoever's: 1, 0. */
static int find_element(struct nft_batch *b, const struct hostport_element *x,
	struct hostport_element *out, struct err *e)
{
	struct hostport_list found = {0};
	struct reply reply = {.set = x->set, .out = &found};
	struct nlmsghdr *m = nft_batch_question(b, NFT_MSG_GETSETELEM, 0, NFPROTO_INET);
	put_set_name(m, x->set);
	struct nlattr *list = netlink_nest(m, NFTA_SET_ELEM_LIST_ELEMENTS);
	put_element(m, x, false);
	netlink_nest_end(m, list);
	int r = nft_batch_ask(b, take_elements, &reply, e);
	bool any = r >= 0 && found.n;
	if (any)
		*out = found.v[0];
	hostport_list_done(&found);
	return r == -ENOENT ? 0 : r < 0 ? r : any;
}

static bool has_link(const struct net_link *links, size_t n, const struct hash *owner)
{
	for (size_t i = 0; i < n; i++)
		if (owned_is_link_of(&links[i], owner) && !owned_is_marked(&links[i]))
			return true;
	return false;
}

static int is_alive(struct net *net, const struct hash *owner, struct err *e)
{
	CLEANUP_FREE struct net_link *links = NULL;
	size_t n = 0;
	int r = net_list_links(net, &links, &n, e);
	return r < 0 ? r : has_link(links, n, owner);
}

/* Elements first: whoever has one has a link already. */
int hostport_orphans(struct net *net, struct hash **out, size_t *n, struct err *e)
{
	CLEANUP_FREE struct net_link *links = NULL;
	struct hostport_list list = {0};
	size_t n_links = 0, count = 0, kept = 0;
	int r = hostport_list_read(&list, e);
	struct hash *owners = hostport_owners(&list, &count);
	hostport_list_done(&list);
	if (r >= 0 && count)
		r = net_list_links(net, &links, &n_links, e);
	for (size_t i = 0; i < count; i++)
		if (!has_link(links, n_links, &owners[i]))
			owners[kept++] = owners[i];
	if (r < 0) {
		free(owners);
		return r;
	}
	*out = owners;
	*n = kept;
	return 0;
}

static int port_taken(const struct hostport_element *x, struct err *e)
{
	char hash[HASH_TEXT];
	struct port port = {0};
	bool is_port = hostport_port_of(x, &port);
	hash_format(&x->owner, hash);
	if (!is_port)
		return err_set(e, EADDRINUSE,
			"the pod's address is in nf_tables table inet %s already, for %s",
			HOSTPORT_TABLE, x->is_owned ? x->name : "nobody that roost knows");
	if (port_is_any(&port))
		port.at = (struct addr){0};
	if (!x->is_owned)
		return err_set(e, EADDRINUSE,
			"host port %s is taken by an entry of nf_tables table inet %s that roost "
			"did "
			"not make",
			PORT_STRING(&port), HOSTPORT_TABLE);
	(void)err_set(
		e, EADDRINUSE, "host port %s is taken by pod %s", PORT_STRING(&port), x->name);
	err_details(e, "stop that pod, or give one of the two another hostPort or hostIP");
	return -EADDRINUSE;
}

/* Something of these keys is there. 1: it was of this pod or of a dead one and is gone, try again. */
static int settle(struct nft_batch *b, struct net *net, const struct hash *owner,
	const struct hostport_list *want, struct err *e)
{
	int again = 0;
	for (size_t i = 0; i < want->n; i++) {
		struct hostport_element x;
		int r = find_element(b, &want->v[i], &x, e);
		if (r == 0)
			continue;
		if (r > 0 && x.is_owned && !hash_equal(&x.owner, owner)) {
			int alive = is_alive(net, &x.owner, e);
			r = alive < 0 ? alive : alive ? -EADDRINUSE : 1;
		}
		if (r > 0 && !x.is_owned)
			r = -EADDRINUSE;
		if (r == -EADDRINUSE)
			return port_taken(&x, e);
		if (r > 0)
			r = hostport_remove(&x.owner, 1, NULL, e);
		if (r < 0)
			return r;
		again = 1;
	}
	return again;
}

static int add_once(struct nft_batch *b, const struct names *names, bool whole,
	struct hostport_list *want, struct err *e)
{
	if (!whole)
		put_all(b, names);
	put_elements(b, NFT_MSG_NEWSETELEM, want);
	return nft_batch_commit(b, e);
}

int hostport_add(struct net *net, const struct hostport_pod *p, const struct hostport_list *have,
	const char *prefix, struct err *e)
{
	struct nft_batch b;
	struct names names;
	struct hostport_list all = {0}, want = {0};
	hostport_list_wanted(p, &all);
	for (size_t i = 0; i < all.n; i++)
		if (!have || !hostport_is_there(have, &all.v[i]))
			hostport_list_add(&want, &all.v[i]);
	int whole = open_names(&b, &names, prefix, e);
	int r = whole < 0 ? whole : -EEXIST;
	for (int i = 0; i < ATTEMPTS && (r == -EEXIST || r == -EBUSY); i++) {
		/* What was ours went with what stood in the way. */
		struct hostport_list *list = i == 0 ? &want : &all;
		r = add_once(&b, &names, whole > 0, list, e);
		if (r != -EEXIST && r != -EBUSY)
			break;
		int settled = settle(&b, net, &p->owner, list, e);
		if (settled < 0)
			r = settled;
	}
	nft_batch_close(&b);
	hostport_list_done(&all);
	hostport_list_done(&want);
	return r;
}
