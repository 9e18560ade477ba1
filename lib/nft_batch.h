/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * nf_tables over a netlink socket, without a library: messages gathered into one atomic batch, and
 * questions. For lib/antispoof.c and lib/hostport.c, whose executables do not link libnftnl, and for lib/nft_*.c.
 * Everybody else includes lib/nft.h.
 */
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/netlink.h"

struct nft_batch {
	int fd;
	unsigned int seq;   /* of the first message */
	unsigned int asked; /* of the last question, from another range */
	size_t count;	    /* of messages; 0: nothing is to be changed */
	size_t last;	    /* offset of the last message, which may still grow */
	char *buf;
	size_t room;
	_Alignas(NLMSG_ALIGNTO) char question[2048];
};

int nft_batch_open(struct nft_batch *b, struct err *e);
void nft_batch_close(struct nft_batch *b); /* takes one that was not opened */

/* Puts a message (NFT_MSG_NEWRULE, ...) at the end. Attributes of at most so many bytes may be added until
 * the next call. */
struct nlmsghdr *nft_batch_put(
	struct nft_batch *b, uint16_t type, uint16_t flags, uint8_t family, size_t bytes);
void nft_batch_drop(struct nft_batch *b); /* what was put and not sent */

/* Sends what was put: the kernel makes all changes or none. Empty afterwards. The error is about the
 * first message that the kernel refused: what it was to do, to which object, and the kernel's reason.
 * -ENOBUFS: the outcome is not known. */
int nft_batch_commit(struct nft_batch *b, struct err *e);

/* A question (NFT_MSG_GETCHAIN, ...; flags NLM_F_DUMP or 0), beside the batch. ask sends it and hands each
 * reply to fn. -ENOENT: there is no such object; -EINTR: it changed while it was being listed, ask again. */
typedef void nft_batch_reply_fn(const struct nlmsghdr *reply, void *arg);
struct nlmsghdr *nft_batch_question(
	struct nft_batch *b, uint16_t type, uint16_t flags, uint8_t family);
int nft_batch_ask(struct nft_batch *b, nft_batch_reply_fn *fn, void *arg, struct err *e);

/* Several questions for one object each, sent together: wonder puts the i-th behind those before it, ask_each sends
 * all n and hands each object to fn with its number; of those that are not there it hears nothing. */
typedef void nft_batch_each_fn(const struct nlmsghdr *reply, size_t index, void *arg);
struct nlmsghdr *nft_batch_wonder(struct nft_batch *b, size_t i, uint16_t type, uint8_t family);
int nft_batch_ask_each(
	struct nft_batch *b, size_t n, nft_batch_each_fn *fn, void *arg, struct err *e);

/* The generation of the rule set of this network namespace: every commit, anybody's, changes it. */
int nft_batch_generation(struct nft_batch *b, uint32_t *out, struct err *e);
