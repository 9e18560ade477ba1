/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The source check as nf_tables objects, written as the netlink messages that nft would send:
 *
 * 	table inet roost {
 * 		chain antispoof-roost {
 * 			type filter hook prerouting priority raw; policy accept;
 * 			iifname "roost*" fib saddr . iif missing counter drop
 * 		}
 * 	}
 *
 * One chain for each host interface prefix, named after it, so that the look is one question:
 * does the chain exist, and has it a rule? The chain is created exclusively and the batch is
 * atomic, so of thirty first ADDs at once one makes it and the others find it. fib looks the
 * source up as a destination: an address that is not routed back through the link it came from
 * is missing. The host end's fe80::/64 is such a route for link-local sources; unspecified
 * sources of neighbour discovery are let through by the kernel itself (nft_fib_ipv6.c).
 *
 * It is there for IPv6, which has no rp_filter. IPv4 has strict reverse path filtering on the
 * link, but a host with net.ipv4.conf.all.rp_filter=2 makes that loose (the larger value
 * counts), so the rule looks at both families.
 */
#include "lib/antispoof.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "lib/net.h"
#include "lib/net_queue.h"

#define TABLE "roost"
#define PRIORITY_RAW (-300)

struct nft {
	struct mnl_socket *socket;
	size_t used;
	unsigned int seq;
	_Alignas(NLMSG_ALIGNTO) char buf[4096];
};

static int open_nft(struct nft *n, struct err *e)
{
	n->used = 0;
	n->seq = 0;
	n->socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!n->socket)
		return err_set(e, errno, "cannot open an nf_tables socket: %s", strerror(errno));
	return 0;
}

static void close_nft(struct nft *n)
{
	if (n->socket)
		(void)mnl_socket_close(n->socket);
}

static struct nlmsghdr *begin(struct nft *n, uint16_t type, uint16_t flags, uint8_t family)
{
	struct nlmsghdr *m = mnl_nlmsg_put_header(n->buf + n->used);
	bool control = type == NFNL_MSG_BATCH_BEGIN || type == NFNL_MSG_BATCH_END;
	m->nlmsg_type = control ? type : (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
	m->nlmsg_flags = NLM_F_REQUEST | flags;
	m->nlmsg_seq = ++n->seq;
	struct nfgenmsg *info = mnl_nlmsg_put_extra_header(m, sizeof(*info));
	info->nfgen_family = family;
	info->version = NFNETLINK_V0;
	info->res_id = control ? htons(NFNL_SUBSYS_NFTABLES) : 0;
	return m;
}

static void end(struct nft *n, struct nlmsghdr *m)
{
	n->used += MNL_ALIGN(m->nlmsg_len);
}

static void control(struct nft *n, uint16_t type)
{
	end(n, begin(n, type, 0, AF_UNSPEC));
}

static void put_be32(struct nlmsghdr *m, uint16_t type, uint32_t value)
{
	mnl_attr_put_u32(m, type, htonl(value));
}

static void put_data(struct nlmsghdr *m, uint16_t type, const void *data, size_t len)
{
	struct nlattr *nest = mnl_attr_nest_start(m, type);
	mnl_attr_put(m, NFTA_DATA_VALUE, len, data);
	mnl_attr_nest_end(m, nest);
}

struct expr {
	struct nlattr *elem, *data;
};

static struct expr begin_expr(struct nlmsghdr *m, const char *name)
{
	struct expr x = {.elem = mnl_attr_nest_start(m, NFTA_LIST_ELEM)};
	mnl_attr_put_strz(m, NFTA_EXPR_NAME, name);
	x.data = mnl_attr_nest_start(m, NFTA_EXPR_DATA);
	return x;
}

static void end_expr(struct nlmsghdr *m, struct expr x)
{
	mnl_attr_nest_end(m, x.data);
	mnl_attr_nest_end(m, x.elem);
}

static void put_meta(struct nlmsghdr *m, uint32_t key)
{
	struct expr x = begin_expr(m, "meta");
	put_be32(m, NFTA_META_KEY, key);
	put_be32(m, NFTA_META_DREG, NFT_REG_1);
	end_expr(m, x);
}

static void put_equal(struct nlmsghdr *m, const void *data, size_t len)
{
	struct expr x = begin_expr(m, "cmp");
	put_be32(m, NFTA_CMP_SREG, NFT_REG_1);
	put_be32(m, NFTA_CMP_OP, NFT_CMP_EQ);
	put_data(m, NFTA_CMP_DATA, data, len);
	end_expr(m, x);
}

static void put_fib(struct nlmsghdr *m)
{
	struct expr x = begin_expr(m, "fib");
	put_be32(m, NFTA_FIB_DREG, NFT_REG_1);
	put_be32(m, NFTA_FIB_RESULT, NFT_FIB_RESULT_OIF);
	put_be32(m, NFTA_FIB_FLAGS, NFTA_FIB_F_SADDR | NFTA_FIB_F_IIF | NFTA_FIB_F_PRESENT);
	end_expr(m, x);
}

static void put_counter(struct nlmsghdr *m)
{
	end_expr(m, begin_expr(m, "counter"));
}

static void put_drop(struct nlmsghdr *m)
{
	struct expr x = begin_expr(m, "immediate");
	put_be32(m, NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
	struct nlattr *data = mnl_attr_nest_start(m, NFTA_IMMEDIATE_DATA);
	struct nlattr *verdict = mnl_attr_nest_start(m, NFTA_DATA_VERDICT);
	put_be32(m, NFTA_VERDICT_CODE, NF_DROP);
	mnl_attr_nest_end(m, verdict);
	mnl_attr_nest_end(m, data);
	end_expr(m, x);
}

static void put_table(struct nft *n)
{
	struct nlmsghdr *m = begin(n, NFT_MSG_NEWTABLE, NLM_F_CREATE, NFPROTO_INET);
	mnl_attr_put_strz(m, NFTA_TABLE_NAME, TABLE);
	end(n, m);
}

static void put_chain(struct nft *n, const char *chain, uint16_t flags)
{
	struct nlmsghdr *m = begin(n, NFT_MSG_NEWCHAIN, NLM_F_CREATE | flags, NFPROTO_INET);
	mnl_attr_put_strz(m, NFTA_CHAIN_TABLE, TABLE);
	mnl_attr_put_strz(m, NFTA_CHAIN_NAME, chain);
	struct nlattr *hook = mnl_attr_nest_start(m, NFTA_CHAIN_HOOK);
	put_be32(m, NFTA_HOOK_HOOKNUM, NF_INET_PRE_ROUTING);
	put_be32(m, NFTA_HOOK_PRIORITY, (uint32_t)PRIORITY_RAW);
	mnl_attr_nest_end(m, hook);
	put_be32(m, NFTA_CHAIN_POLICY, NF_ACCEPT);
	mnl_attr_put_strz(m, NFTA_CHAIN_TYPE, "filter");
	end(n, m);
}

static void put_rule(struct nft *n, const char *chain, const char *prefix)
{
	struct nlmsghdr *m =
		begin(n, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND | NLM_F_ACK, NFPROTO_INET);
	mnl_attr_put_strz(m, NFTA_RULE_TABLE, TABLE);
	mnl_attr_put_strz(m, NFTA_RULE_CHAIN, chain);
	struct nlattr *list = mnl_attr_nest_start(m, NFTA_RULE_EXPRESSIONS);
	static const uint32_t missing; /* four bytes, as nft writes and reads it */
	put_meta(m, NFT_META_IIFNAME);
	put_equal(m, prefix, strlen(prefix)); /* the first bytes of the name: "roost*" */
	put_fib(m);
	put_equal(m, &missing, sizeof(missing));
	put_counter(m);
	put_drop(m);
	mnl_attr_nest_end(m, list);
	end(n, m);
}

struct answer {
	int error;
	uint32_t rules; /* of a chain that was asked for */
};

static void take_reply(const struct nlmsghdr *reply, struct answer *a)
{
	if (reply->nlmsg_type == NLMSG_ERROR) {
		const struct nlmsgerr *status = mnl_nlmsg_get_payload(reply);
		if (!a->error)
			a->error = -status->error;
		return;
	}
	const struct nlattr *attr;
	NET_EACH_ATTR (attr, reply, sizeof(struct nfgenmsg)) {
		if (mnl_attr_get_type(attr) == NFTA_CHAIN_USE)
			a->rules = ntohl(mnl_attr_get_u32(attr));
	}
}

/* Sends what was built and reads until last, the message that asks for an acknowledgement, or an
 * error has been answered. */
static int ask(struct nft *n, struct answer *a, struct err *e)
{
	*a = (struct answer){0};
	if (mnl_socket_sendto(n->socket, n->buf, n->used) < 0)
		return err_set(e, errno, "cannot talk to nf_tables: %s", strerror(errno));
	n->used = 0;
	_Alignas(NLMSG_ALIGNTO) char buf[8192];
	for (bool done = false; !done;) {
		ssize_t len = mnl_socket_recvfrom(n->socket, buf, sizeof(buf));
		if (len < 0 && errno != EINTR)
			return err_set(
				e, errno, "cannot read nf_tables' answer: %s", strerror(errno));
		int left = (int)len;
		const struct nlmsghdr *reply = (const void *)buf;
		for (; mnl_nlmsg_ok(reply, left); reply = mnl_nlmsg_next(reply, &left)) {
			done = done || reply->nlmsg_type == NLMSG_ERROR;
			take_reply(reply, a);
		}
	}
	return 0;
}

static void chain_name(const char *prefix, char out[32])
{
	(void)snprintf(out, 32, "antispoof-%.15s", prefix);
}

/* 1: chain and rule are there, 0: not; *has_chain tells a flushed chain from a missing one. */
static int look(struct nft *n, const char *chain, bool *has_chain, struct err *e)
{
	struct nlmsghdr *m = begin(n, NFT_MSG_GETCHAIN, NLM_F_ACK, NFPROTO_INET);
	mnl_attr_put_strz(m, NFTA_CHAIN_TABLE, TABLE);
	mnl_attr_put_strz(m, NFTA_CHAIN_NAME, chain);
	end(n, m);
	struct answer a;
	int r = ask(n, &a, e);
	if (r < 0)
		return r;
	*has_chain = a.error == 0;
	if (a.error && a.error != ENOENT)
		return err_set(e, a.error, "cannot look at nf_tables chain %s: %s", chain,
			strerror(a.error));
	return a.error == 0 && a.rules > 0;
}

static int make(struct nft *n, const char *chain, const char *prefix, bool has_chain, struct err *e)
{
	control(n, NFNL_MSG_BATCH_BEGIN);
	put_table(n);
	put_chain(n, chain, has_chain ? 0 : NLM_F_EXCL);
	put_rule(n, chain, prefix);
	control(n, NFNL_MSG_BATCH_END);
	struct answer a;
	int r = ask(n, &a, e);
	if (r < 0)
		return r;
	if (a.error == EEXIST)
		return 0; /* another ADD was first */
	if (a.error)
		return err_set(e, a.error, "cannot make nf_tables chain inet %s %s: %s", TABLE,
			chain, strerror(a.error));
	return 1;
}

/* A socket, the chain's name, and the look. The caller closes the socket. */
static int open_and_look(
	struct nft *n, const char *prefix, char chain[32], bool *has_chain, struct err *e)
{
	n->socket = NULL;
	*has_chain = false;
	chain_name(prefix, chain);
	int r = open_nft(n, e);
	return r < 0 ? r : look(n, chain, has_chain, e);
}

int antispoof_ensure(const char *prefix, struct err *e)
{
	struct nft n;
	char chain[32];
	bool has_chain;
	int r = open_and_look(&n, prefix, chain, &has_chain, e);
	if (r == 1)
		r = 0;
	else if (r == 0)
		r = make(&n, chain, prefix, has_chain, e);
	close_nft(&n);
	return r;
}

int antispoof_has(const char *prefix, struct err *e)
{
	struct nft n;
	char chain[32];
	bool has_chain;
	int r = open_and_look(&n, prefix, chain, &has_chain, e);
	close_nft(&n);
	return r;
}

int antispoof_remove(struct err *e)
{
	struct nft n;
	int r = open_nft(&n, e);
	if (r < 0)
		return r;
	control(&n, NFNL_MSG_BATCH_BEGIN);
	struct nlmsghdr *m = begin(&n, NFT_MSG_DELTABLE, NLM_F_ACK, NFPROTO_INET);
	mnl_attr_put_strz(m, NFTA_TABLE_NAME, TABLE);
	end(&n, m);
	control(&n, NFNL_MSG_BATCH_END);
	struct answer a = {0};
	r = ask(&n, &a, e);
	close_nft(&n);
	if (r < 0 || a.error == ENOENT)
		return r < 0 ? r : 0;
	if (a.error)
		return err_set(e, a.error, "cannot remove nf_tables table inet %s: %s", TABLE,
			strerror(a.error));
	return 1;
}
