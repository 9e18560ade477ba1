/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * How a conformance run reaches the hosts it tests: a cluster file (YAML or JSON,
 * docs/CONFORMANCE.md), or the same made of the nodes that the cluster store knows.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/inventory.h"
#include "cli/options.h"
#include "lib/err.h"
#include "lib/family.h"

#define CONFORM_NODES 200
#define CONFORM_PODS 8	 /* a node */
#define CONFORM_WORDS 64 /* of a probe's command line, those of its own not counted */

struct conform_host {
	const char *name;	/* "": as the host says itself */
	const char **arguments; /* of the probe, NULL-terminated; an array of the file's own */
	bool is_local;		/* no prefix: this machine */
	const char *conf_dir, *network; /* NULL: the probe's default */
	json_t *cni_path;		/* NULL too */
};

struct conform_file {
	struct conform_host *nodes;
	size_t n_nodes;
	struct conform_host outside;
	bool has_outside;
	bool routed;		 /* the host outside has a way back to pods */
	unsigned int pods;	 /* a node */
	bool families[FAMILIES]; /* IPv4, IPv6 */
	uint16_t host_port;	 /* for the port mapping of the first pod of a node */
	unsigned int settle_s;	 /* until the routes to new blocks are everywhere */
	bool has_seed;
	uint64_t seed;
	json_t *doc; /* what the texts point into */
};

/* Errors begin with line and column. -EBADMSG, -EINVAL. */
int conform_file_parse(const char *bytes, size_t len, struct conform_file *out, struct err *e);

/* The nodes of the store; local (may be "") is the one this machine is, for which o's options are
 * handed on. Nodes without address are left out. -ENOENT: there is none. */
int conform_file_from_store(const struct inventory *v, const char *local, const struct options *o,
	struct conform_file *out, struct err *e);

void conform_file_done(struct conform_file *f); /* takes a zeroed one */
#define CLEANUP_CONFORM_FILE __attribute__((cleanup(conform_file_done)))
