/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Where the cluster store, the agent and the node states are: the command line first, then the
 * environment (which roostctl.c has put into the options), then the agent's configuration file, then
 * defaults. docs/AGENT.md describes the file.
 */
#include <stdlib.h>

#include "cli/options.h"
#include "cluster/agent_conf.h"
#include "lib/err.h"
#include "store/store.h"

struct config {
	struct agent_conf conf;
	struct store_options store; /* url is always set */
	const char *socket;	    /* of the agent, always set */
};

/* *out points into itself and into *o: never copy it. A file that was not asked for may be
 * missing. -EBADMSG, and what opening the file gives. */
int config_read(const struct options *o, struct config *out, struct err *e);

/* The folders of the node states that a command is about: the one of --state-dir, else all that the
 * agent looks after. At least one. Never copy it, either. */
struct config_dirs {
	const char *list[AGENT_CONF_STATE_DIRS];
	size_t n;
	struct config config;
};
int config_state_dirs(const struct options *o, struct config_dirs *out, struct err *e);

/* The agent's socket, which lies in *c or in the options; --socket does without the file. */
int config_socket(const struct options *o, struct config *c, struct err *e);

/* Opens the cluster store; the caller ends it with store_close(). A "file:" store has to be there. */
int config_open_store(const struct options *o, struct store **out, struct err *e);

/* The same for `apply`: a "file:" store that is not there is made, which is said on stderr. */
int config_make_store(const struct options *o, struct store **out, struct err *e);

/* store_get(), store_list(), store_write(), for who has a person waiting: cli/patience.h. */
int config_get(struct store *s, const char *key, struct store_doc *out, struct err *e);
int config_list(
	struct store *s, const char *prefix, struct store_doc **out, size_t *count, struct err *e);
int config_write(struct store *s, const struct store_write *w, struct err *e);

static inline void config_cleanup_store(struct store **s)
{
	store_close(*s);
}
#define CLEANUP_STORE __attribute__((cleanup(config_cleanup_store)))

/* What store_get() has filled in, or nothing. */
static inline void config_cleanup_doc(const struct store_doc *doc)
{
	free(doc->key);
	free(doc->value);
}
#define CLEANUP_DOC __attribute__((cleanup(config_cleanup_doc)))
