/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A commit is told as the messages of its changes and then one of the new generation (nf_tables_commit()).
 * So what was touched is kept until the generation comes, and counts when that is newer than what is known. A
 * generation that is not the next one means that others were not told: those count as changes.
 */
#include "lib/nft_watch.h"

#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/mem.h"
#include "lib/netlink.h"
#include "lib/text.h"

#define DATAGRAM 65536
#define RECEIVE_BUFFER                                                                             \
	(4 * 1024 * 1024) /* others' commits may be large; memory is used when they are */

int nft_watch_open(struct nft_watch *w, const char *table, struct err *e)
{
	const struct sockaddr_nl any = {.nl_family = AF_NETLINK};
	const int size = RECEIVE_BUFFER;
	*w = (struct nft_watch)NFT_WATCH_CLOSED;
	(void)text_copy(w->table, sizeof(w->table), table);
	w->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
	if (w->fd < 0 || bind(w->fd, (const struct sockaddr *)&any, sizeof(any)) < 0) {
		int error = errno;
		nft_watch_close(w);
		return err_set(e, error, "cannot open a netlink socket: %s", strerror(error));
	}
	if (setsockopt(w->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(w->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	int r = nft_watch_resume(w, e);
	if (r < 0)
		nft_watch_close(w);
	return r;
}

void nft_watch_close(struct nft_watch *w)
{
	mem_cleanup_fd(&w->fd);
	w->fd = -1;
}

void nft_watch_clean(struct nft_watch *w, uint32_t generation)
{
	w->clean = generation;
}

void nft_watch_pause(struct nft_watch *w)
{
	const int group = NFNLGRP_NFTABLES;
	(void)setsockopt(w->fd, SOL_NETLINK, NETLINK_DROP_MEMBERSHIP, &group, sizeof(group));
}

int nft_watch_resume(struct nft_watch *w, struct err *e)
{
	const int group = NFNLGRP_NFTABLES;
	if (setsockopt(w->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
		return err_set(
			e, errno, "cannot subscribe to changes of nf_tables: %s", strerror(errno));
	return 0;
}

/* The name of the table is attribute 1 of every kind of message. */
static bool nft_watch_is_about(const struct nft_watch *w, const struct nlmsghdr *m)
{
	const struct nlattr *attr;
	NETLINK_EACH_ATTR (attr, m, sizeof(struct nfgenmsg)) {
		char name[NFT_WATCH_NAME];
		if (netlink_type(attr) != NFTA_TABLE_NAME)
			continue;
		netlink_copy_text(name, sizeof(name), attr);
		return strcmp(name, w->table) == 0;
	}
	return false;
}

static uint32_t nft_watch_generation(const struct nlmsghdr *m)
{
	const struct nlattr *attr;
	NETLINK_EACH_ATTR (attr, m, sizeof(struct nfgenmsg))
		if (netlink_type(attr) == NFTA_GEN_ID)
			return netlink_be32(attr);
	return 0;
}

static unsigned int nft_watch_end(struct nft_watch *w, uint32_t generation)
{
	unsigned int touched = w->touched;
	int32_t ahead = (int32_t)(generation - w->clean);
	w->touched = 0;
	if (ahead <= 0)
		return 0; /* known already */
	w->clean = generation;
	return ahead == 1 ? touched : NFT_WATCH_CHANGED;
}

static unsigned int nft_watch_take(struct nft_watch *w, const struct nlmsghdr *m)
{
	unsigned int subsystem = m->nlmsg_type >> 8, type = m->nlmsg_type & 0xff;
	if (subsystem != NFNL_SUBSYS_NFTABLES)
		return 0;
	if (type == NFT_MSG_NEWGEN)
		return nft_watch_end(w, nft_watch_generation(m));
	if (nft_watch_is_about(w, m))
		w->touched |= type == NFT_MSG_NEWSETELEM ? NFT_WATCH_ELEMENTS : NFT_WATCH_CHANGED;
	return 0;
}

int nft_watch_read(struct nft_watch *w, unsigned int *what, struct err *e)
{
	CLEANUP_FREE char *buf = mem_new_raw(DATAGRAM);
	for (;;) {
		struct err why;
		const struct nlmsghdr *m;
		int r = netlink_receive(w->fd, buf, DATAGRAM, &why);
		if (r == -EAGAIN)
			return 0;
		if (r < 0)
			*what |= NFT_WATCH_CHANGED;
		if (r < 0 && r != -ENOBUFS && r != -ENOSPC) /* those: some were lost */
			return err_set(e, -r, "%s", why.text);
		NETLINK_EACH(m, buf, r > 0 ? (size_t)r : 0)
		*what |= nft_watch_take(w, m);
	}
}
