/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A batch is a train of messages between NFNL_MSG_BATCH_BEGIN and _END that goes to the kernel in one
 * sendmsg(). The kernel works through all of them even when one is refused, then commits or aborts. It
 * answers every refused message by its sequence number, and the last one in any case, as that asks for
 * an acknowledgement (END itself is acknowledged only since Linux 6.10). An error that bears the number
 * of BEGIN is about the batch as a whole: no right to change anything, no memory, or a commit that found
 * a loop of chains; then nothing more need follow.
 *
 * What a refused message was to do is read from the message itself: nothing is noted beforehand.
 */
#include "lib/nft_batch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/mem.h"
#include "lib/netlink.h"

/* What the kernel puts into one datagram; a dump's may be larger, then there are fewer. */
#define ANSWER_BYTES 8192
#define DUMP_BYTES 32768
#define HEADER NLMSG_ALIGN(sizeof(struct nlmsghdr) + sizeof(struct nfgenmsg))
#define QUESTIONS 0x80000000u		 /* their sequence numbers are not those of messages */
#define SEND_BUFFER ((size_t)128 * 1024) /* less than any host's default (net.core.wmem_default) */

int nft_batch_open(struct nft_batch *b, struct err *e)
{
	*b = (struct nft_batch){.fd = -1, .seq = 1};
	return netlink_open(NETLINK_NETFILTER, &b->fd, e);
}

void nft_batch_close(struct nft_batch *b)
{
	mem_cleanup_fd(&b->fd);
	free(b->buf);
	*b = (struct nft_batch){.fd = -1};
}

static struct nlmsghdr *nft_batch_header(
	char *at, uint16_t type, uint16_t flags, uint8_t family, uint16_t resource)
{
	struct nlmsghdr *m = netlink_begin(at, type, flags);
	struct nfgenmsg *info = netlink_put_header(m, sizeof(*info));
	info->nfgen_family = family;
	info->version = NFNETLINK_V0;
	info->res_id = htons(resource);
	return m;
}

static struct nlmsghdr *nft_batch_last(const struct nft_batch *b)
{
	return (void *)(b->buf + b->last);
}

static size_t nft_batch_used(const struct nft_batch *b)
{
	return b->count ? b->last + NLMSG_ALIGN(nft_batch_last(b)->nlmsg_len) : 0;
}

static struct nlmsghdr *nft_batch_append(
	struct nft_batch *b, uint16_t type, uint16_t flags, uint8_t family, size_t bytes)
{
	bool control = type == NFNL_MSG_BATCH_BEGIN || type == NFNL_MSG_BATCH_END;
	size_t used = nft_batch_used(b);
	b->buf = mem_grow(b->buf, &b->room, used + HEADER + bytes, 1);
	struct nlmsghdr *m = nft_batch_header(
		b->buf + used, type, flags, family, control ? NFNL_SUBSYS_NFTABLES : 0);
	m->nlmsg_seq = b->seq + (unsigned int)b->count++;
	b->last = used;
	return m;
}

struct nlmsghdr *nft_batch_put(
	struct nft_batch *b, uint16_t type, uint16_t flags, uint8_t family, size_t bytes)
{
	if (!b->count)
		(void)nft_batch_append(b, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, 0);
	return nft_batch_append(
		b, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, family, bytes);
}

void nft_batch_drop(struct nft_batch *b)
{
	b->seq += (unsigned int)b->count;
	b->count = 0;
}

/*
 * Errors.
 */

static const struct nft_batch_kind {
	const char *words;
	uint16_t name; /* the attribute that names the object; the table's is 1 everywhere */
} kinds[NFT_MSG_MAX] = {
	[NFT_MSG_NEWTABLE] = {"add table", 0},
	[NFT_MSG_DELTABLE] = {"delete table", 0},
	[NFT_MSG_GETTABLE] = {"list table", 0},
	[NFT_MSG_NEWCHAIN] = {"add chain", NFTA_CHAIN_NAME},
	[NFT_MSG_DELCHAIN] = {"delete chain", NFTA_CHAIN_NAME},
	[NFT_MSG_GETCHAIN] = {"list chain", NFTA_CHAIN_NAME},
	[NFT_MSG_NEWRULE] = {"add a rule to chain", NFTA_RULE_CHAIN},
	[NFT_MSG_DELRULE] = {"delete the rules of chain", NFTA_RULE_CHAIN},
	[NFT_MSG_GETRULE] = {"list the rules of chain", NFTA_RULE_CHAIN},
	[NFT_MSG_NEWSET] = {"add set", NFTA_SET_NAME},
	[NFT_MSG_DELSET] = {"delete set", NFTA_SET_NAME},
	[NFT_MSG_GETSET] = {"list set", NFTA_SET_NAME},
	[NFT_MSG_NEWSETELEM] = {"add elements to set", NFTA_SET_ELEM_LIST_SET},
	[NFT_MSG_DELSETELEM] = {"delete elements of set", NFTA_SET_ELEM_LIST_SET},
	[NFT_MSG_GETSETELEM] = {"list the elements of set", NFTA_SET_ELEM_LIST_SET},
	[NFT_MSG_NEWOBJ] = {"add object", NFTA_OBJ_NAME},
	[NFT_MSG_DELOBJ] = {"delete object", NFTA_OBJ_NAME},
	[NFT_MSG_GETOBJ] = {"list object", NFTA_OBJ_NAME},
};

static const char *nft_batch_family(uint8_t family)
{
	return family == NFPROTO_INET	? "inet"
	       : family == NFPROTO_IPV4 ? "ip"
	       : family == NFPROTO_IPV6 ? "ip6"
					: "any";
}

/* "add set inet roost-nat nat4" */
static void nft_batch_describe(const struct nlmsghdr *m, char *out, size_t size)
{
	const struct nfgenmsg *info = NLMSG_DATA(m);
	const struct nft_batch_kind *k = &kinds[(m->nlmsg_type & 0xff) % NFT_MSG_MAX];
	char table[64] = "", name[64] = "";
	const struct nlattr *attr;
	bool whole = m->nlmsg_type == NFNL_MSG_BATCH_BEGIN;
	if (whole || !k->words) {
		(void)snprintf(out, size, "%s nf_tables", whole ? "change" : "read");
		return;
	}
	NETLINK_EACH_ATTR (attr, m, sizeof(*info)) {
		if (netlink_type(attr) == NFTA_TABLE_NAME)
			netlink_copy_text(table, sizeof(table), attr);
		else if (k->name && netlink_type(attr) == k->name)
			netlink_copy_text(name, sizeof(name), attr);
	}
	(void)snprintf(out, size, "%s %s%s%s%s%s", k->words, nft_batch_family(info->nfgen_family),
		*table ? " " : "", table, *name ? " " : "", name);
}

static int nft_batch_refused(
	const struct nlmsghdr *m, const struct nlmsghdr *reply, int error, struct err *e)
{
	char what[192], sentence[180];
	nft_batch_describe(m, what, sizeof(what));
	netlink_sentence(reply, sentence, sizeof(sentence));
	return err_set(e, error, "cannot %s: %s%s", what, strerror(error), sentence);
}

/*
 * Sending and reading.
 */

static int nft_batch_send(struct nft_batch *b, const void *bytes, size_t len, struct err *e)
{
	int size = (int)len + 4096;
	if (len > SEND_BUFFER &&
		setsockopt(b->fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(b->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return netlink_send(b->fd, bytes, len, e);
}

static const struct nlmsghdr *nft_batch_message(const struct nft_batch *b, size_t index)
{
	const struct nlmsghdr *m = (const void *)b->buf;
	for (; index; index--)
		m = (const void *)((const char *)m + NLMSG_ALIGN(m->nlmsg_len));
	return m;
}

/* Takes the answers in a datagram: 1 when the last one is in; *r becomes the first refusal. */
static bool nft_batch_take(
	const struct nft_batch *b, size_t last, const char *buf, size_t len, int *r, struct err *e)
{
	bool done = false;
	const struct nlmsghdr *reply;
	NETLINK_EACH(reply, buf, len)
	{
		size_t index = reply->nlmsg_seq - b->seq;
		if (reply->nlmsg_type != NLMSG_ERROR || index > last)
			continue;
		int error = netlink_error(reply);
		if (error && *r == 0)
			*r = nft_batch_refused(nft_batch_message(b, index), reply, error, e);
		done = done || index == last || index == 0;
	}
	return done;
}

int nft_batch_commit(struct nft_batch *b, struct err *e)
{
	if (!b->count)
		return 0;
	size_t last = b->count - 1;
	nft_batch_last(b)->nlmsg_flags |= NLM_F_ACK;
	(void)nft_batch_append(b, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, 0);
	int refusal = 0;
	_Alignas(NLMSG_ALIGNTO) char buf[ANSWER_BYTES];
	int r = nft_batch_send(b, b->buf, nft_batch_used(b), e);
	for (bool done = false; r >= 0 && !done;) {
		r = netlink_receive(b->fd, buf, sizeof(buf), e);
		if (r >= 0)
			done = nft_batch_take(b, last, buf, (size_t)r, &refusal, e);
	}
	nft_batch_drop(b);
	return r < 0 ? r : refusal;
}

struct nlmsghdr *nft_batch_question(
	struct nft_batch *b, uint16_t type, uint16_t flags, uint8_t family)
{
	/* A dump ends by itself, and with an acknowledgement asked for it would end twice. */
	uint16_t more = flags == NLM_F_DUMP ? 0 : NLM_F_ACK;
	return nft_batch_header(
		b->question, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags | more, family, 0);
}

struct nft_batch_answer {
	nft_batch_reply_fn *fn;
	void *arg;
	bool done, interrupted;
};

static int nft_batch_reply(struct nft_batch *b, const struct nlmsghdr *reply,
	struct nft_batch_answer *a, struct err *e)
{
	const struct nlmsghdr *asked = (const void *)b->question;
	a->interrupted = a->interrupted || reply->nlmsg_flags & NLM_F_DUMP_INTR;
	if (reply->nlmsg_type == NLMSG_DONE) {
		a->done = true;
	} else if (reply->nlmsg_type == NLMSG_ERROR) {
		int error = netlink_error(reply);
		a->done = true;
		if (error)
			return nft_batch_refused(asked, reply, error, e);
	} else {
		a->fn(reply, a->arg);
	}
	return 0;
}

struct nft_batch_each {
	nft_batch_each_fn *fn;
	void *arg;
	int refusal; /* the first one, told in e */
	struct err *e;
};

/* A dump is read to its end, whatever it says: the kernel does not begin another one before. */
int nft_batch_ask(struct nft_batch *b, nft_batch_reply_fn *fn, void *arg, struct err *e)
{
	struct nft_batch_answer a = {.fn = fn, .arg = arg};
	struct nlmsghdr *m = (void *)b->question;
	m->nlmsg_seq = QUESTIONS | ++b->asked;
	size_t size = m->nlmsg_flags & NLM_F_DUMP ? DUMP_BYTES : ANSWER_BYTES;
	CLEANUP_FREE char *buf = mem_new(1, size);
	int r = nft_batch_send(b, m, m->nlmsg_len, e);
	while (r >= 0 && !a.done) {
		int len = netlink_receive(b->fd, buf, size, e);
		if (len < 0)
			return len;
		const struct nlmsghdr *reply;
		NETLINK_EACH(reply, buf, (size_t)len)
		if (reply->nlmsg_seq == m->nlmsg_seq && r >= 0)
			r = nft_batch_reply(b, reply, &a, e);
	}
	if (r >= 0 && a.interrupted)
		r = err_set(e, EINTR, "nf_tables changed while it was being listed");
	return r;
}

static struct nlmsghdr *nft_batch_wondered(struct nft_batch *b, size_t i)
{
	char *at = b->question;
	for (; i; i--)
		at += NLMSG_ALIGN(((const struct nlmsghdr *)(void *)at)->nlmsg_len);
	return (void *)at;
}

/* Without an acknowledgement: one answer each, the object or why not. */
struct nlmsghdr *nft_batch_wonder(struct nft_batch *b, size_t i, uint16_t type, uint8_t family)
{
	struct nlmsghdr *m = nft_batch_header((char *)nft_batch_wondered(b, i),
		(uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), 0, family, 0);
	m->nlmsg_seq = QUESTIONS | ++b->asked;
	return m;
}

/* Takes the answers in a datagram; how many. */
static size_t nft_batch_take_each(
	struct nft_batch *b, size_t n, const char *buf, size_t len, struct nft_batch_each *each)
{
	const struct nlmsghdr *reply;
	size_t taken = 0;
	NETLINK_EACH(reply, buf, len)
	{
		size_t index = reply->nlmsg_seq - nft_batch_wondered(b, 0)->nlmsg_seq;
		int error = reply->nlmsg_type == NLMSG_ERROR ? netlink_error(reply) : 0;
		if (index >= n)
			continue;
		taken++;
		if (reply->nlmsg_type != NLMSG_ERROR)
			each->fn(reply, index, each->arg);
		else if (error != ENOENT && each->refusal == 0)
			each->refusal = nft_batch_refused(
				nft_batch_wondered(b, index), reply, error, each->e);
	}
	return taken;
}

int nft_batch_ask_each(
	struct nft_batch *b, size_t n, nft_batch_each_fn *fn, void *arg, struct err *e)
{
	struct nft_batch_each each = {.fn = fn, .arg = arg, .e = e};
	const char *end = (const char *)nft_batch_wondered(b, n);
	_Alignas(NLMSG_ALIGNTO) char buf[ANSWER_BYTES];
	int r = nft_batch_send(b, b->question, (size_t)(end - b->question), e);
	for (size_t taken = 0; r >= 0 && taken < n;) {
		r = netlink_receive(b->fd, buf, sizeof(buf), e);
		if (r >= 0)
			taken += nft_batch_take_each(b, n, buf, (size_t)r, &each);
	}
	return r < 0 ? r : each.refusal;
}

static void nft_batch_take_generation(const struct nlmsghdr *reply, void *arg)
{
	const struct nlattr *attr;
	NETLINK_EACH_ATTR (attr, reply, sizeof(struct nfgenmsg))
		if (netlink_type(attr) == NFTA_GEN_ID)
			*(uint32_t *)arg = netlink_be32(attr);
}

int nft_batch_generation(struct nft_batch *b, uint32_t *out, struct err *e)
{
	*out = 0;
	(void)nft_batch_question(b, NFT_MSG_GETGEN, 0, AF_UNSPEC);
	return nft_batch_ask(b, nft_batch_take_generation, out, e);
}
