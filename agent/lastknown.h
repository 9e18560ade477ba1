/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What this node must still know after a reboot: DATA_DIR/blocks.json. Which machine it is, which
 * blocks it owns, and the pools as the cluster last told them. A claimed block is used only when it
 * stands in this file, synced to the disk. docs/AGENT.md shows the file.
 */
#include <stddef.h>

#include "cluster/agent_conf.h"
#include "cluster/status.h"
#include "ipam/mirror.h"
#include "lib/boot.h"
#include "lib/addr.h"
#include "lib/err.h"

#define LASTKNOWN_FILE "blocks.json"

struct lastknown_block {
	struct cidr cidr;
	char state_dir[AGENT_CONF_PATH]; /* the node state that it belongs to */
};

struct lastknown {
	char installation[STATUS_ID];
	char machine[BOOT_MACHINE_TEXT]; /* that wrote the file; "" not known */
	uint64_t store_id;		 /* of the store that said what follows; 0: not known */
	struct mirror mirror; /* node and what the cluster said; no pools: nothing yet. The socket
				 is not kept */
	struct lastknown_block *blocks; /* heap */
	size_t n_blocks;
};
void lastknown_done(struct lastknown *l); /* takes a zeroed one */

/* Makes the folder (0700), and takes the lock that says an agent uses it: a descriptor, until it
 * is closed. -EBUSY: another agent does. */
int lastknown_lock(const char *data_dir, struct err *e);

/* 1; 0: there is no file, *out has a new installation id and nothing else. -EBADMSG: the file is
 * damaged and was set aside; the sentence says why and where; asking again gives 0. -EPROTONOSUPPORT: a newer
 * roost wrote it; it stays. */
int lastknown_load(const char *data_dir, struct lastknown *out, struct err *e);

/* Replaces the file; when it returns 0 the content survives a loss of power. */
int lastknown_store(const char *data_dir, const struct lastknown *l, struct err *e);

/* The text of the file, on the heap; and back. -EBADMSG. */
char *lastknown_format(const struct lastknown *l);
int lastknown_parse(const char *text, size_t len, struct lastknown *out, struct err *e);
