/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A small CNI runtime: reads a network configuration from its folder as container runtimes do, and
 * runs the chain of its plugins. Sources: CNI SPEC.md sections 1, 3 and 4; libcni.
 */
#include <jansson.h>
#include <stdbool.h>

#include "lib/cni.h"
#include "lib/err.h"

struct probe_chain {
	char name[CNI_NETWORK_MAX + 1];
	enum cni_version version;
	json_t *plugins; /* array of objects with a text "type", never empty; owned */
};

/* The list of that name, or (name NULL) the first that can be read, by file name. -ENOENT. */
int probe_chain_load(const char *folder, const char *name, struct probe_chain *out, struct err *e);
void probe_chain_done(struct probe_chain *c); /* takes a zeroed one */
#define CLEANUP_CHAIN __attribute__((cleanup(probe_chain_done)))

/* The text of a .conflist (is_list) or of a single plugin's .conf. -EBADMSG, -EINVAL. */
int probe_chain_parse(const json_t *doc, bool is_list, struct probe_chain *out, struct err *e);

/* The list as a document that probe_chain_parse() reads again; the caller's. */
json_t *probe_chain_document(const struct probe_chain *c);

/* Whether a plugin of the list declares the capability. */
bool probe_chain_has(const struct probe_chain *c, const char *capability);
json_t *probe_chain_capabilities(const struct probe_chain *c); /* array of texts, the caller's */
json_t *probe_chain_types(const struct probe_chain *c);

/* What plugin i gets on stdin: its object with name, cniVersion, runtimeConfig (those of the keys of
 * runtime that it declares) and prevResult. runtime and prev may be NULL. The caller's. */
json_t *probe_chain_input(
	const struct probe_chain *c, size_t i, const json_t *runtime, const json_t *prev);

struct probe_chain_call {
	const char *container, *netns, *ifname, *args;
	const char *path;      /* ':'-separated */
	const json_t *runtime; /* capability to value; NULL: none */
	int timeout_ms;	       /* of each plugin */
};

/* Whether all plugins are there: a chain of which one is missing is better not begun. -ENOENT. */
int probe_chain_check(
	const struct probe_chain *c, const struct probe_chain_call *call, struct err *e);

/* ADD of all plugins in order; *result is the last one's, the caller's. After an error what was
 * added is there until probe_chain_del(). */
int probe_chain_add(const struct probe_chain *c, const struct probe_chain_call *call,
	json_t **result, struct err *e);

/* DEL of all plugins, the last first, with the result of ADD (may be NULL). All of them are tried;
 * the first error is returned. */
int probe_chain_del(const struct probe_chain *c, const struct probe_chain_call *call,
	const json_t *result, struct err *e);
