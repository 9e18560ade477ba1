/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * An attachment of the probe: one run of a chain of plugins, and the document in the journal that
 * allows another probe to undo it.
 */
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/probe/chain.h"
#include "cli/probe/journal.h"
#include "lib/err.h"
#include "lib/ns.h"

#define PROBE_IFNAME "eth0"

struct probe_attach {
	char container[128];
	char netns[NS_PATH]; /* "" when it is gone */
	uint64_t cookie;     /* of the node's namespace */
	struct probe_chain chain;
	char *path;	 /* ':'-separated; owned, as what follows */
	json_t *runtime; /* capability to value; NULL: none */
	json_t *result;	 /* of ADD; NULL before */
};
void probe_attach_done(struct probe_attach *a); /* takes a zeroed one */

/* From a request: an array of folders; NULL: the usual ones. */
int probe_attach_set_path(struct probe_attach *a, const json_t *folders, struct err *e);

/* Runs ADD, with DEL after an error. name: of the pod, for the journal and CNI_ARGS. */
int probe_attach_add(
	struct probe_attach *a, struct probe_journal *j, const char *name, struct err *e);
/* Runs DEL; what did not work stays in the journal. */
int probe_attach_del(
	struct probe_attach *a, struct probe_journal *j, const char *name, struct err *e);

/* Undoes what dead probes left in this network namespace: container ids of what was undone, and
 * sentences on what could not be. */
int probe_attach_clean(const char *state_dir, json_t *cleaned, json_t *troubles, struct err *e);
