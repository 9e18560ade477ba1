/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One question lists the tables of a family, one message deletes a table with all that is in it. No other
 * program names its tables so: the name is the mark.
 */
#include "lib/nft_own.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

#include "lib/nft_batch.h"

#define TABLE "roost"
#define MESSAGE 256 /* bytes of attributes at most */

struct list {
	char (*names)[NFT_OWN_NAME];
	int n;
};

static bool is_ours(const char *name)
{
	size_t len = strlen(TABLE);
	return strncmp(name, TABLE, len) == 0 && (name[len] == '\0' || name[len] == '-');
}

static void take_table(const struct nlmsghdr *reply, void *arg)
{
	struct list *l = arg;
	const struct nlattr *attr;
	char name[NFT_OWN_NAME] = "";
	NETLINK_EACH_ATTR (attr, reply, sizeof(struct nfgenmsg))
		if (netlink_type(attr) == NFTA_TABLE_NAME)
			netlink_copy_text(name, sizeof(name), attr);
	if (is_ours(name) && l->n < NFT_OWN_TABLES)
		memcpy(l->names[l->n++], name, sizeof(name));
}

int nft_own_list(char names[NFT_OWN_TABLES][NFT_OWN_NAME], struct err *e)
{
	struct nft_batch b;
	struct list l = {.names = names};
	int r = nft_batch_open(&b, e);
	if (r < 0)
		return r;
	(void)nft_batch_question(&b, NFT_MSG_GETTABLE, NLM_F_DUMP, NFPROTO_INET);
	r = nft_batch_ask(&b, take_table, &l, e);
	nft_batch_close(&b);
	return r < 0 && r != -ENOENT ? r : l.n;
}

int nft_own_delete(const char *name, struct err *e)
{
	struct nft_batch b;
	int r = nft_batch_open(&b, e);
	if (r < 0)
		return r;
	struct nlmsghdr *m = nft_batch_put(&b, NFT_MSG_DELTABLE, 0, NFPROTO_INET, MESSAGE);
	netlink_put_text(m, NFTA_TABLE_NAME, name);
	r = nft_batch_commit(&b, e);
	nft_batch_close(&b);
	return r == -ENOENT ? 0 : r < 0 ? r : 1;
}
