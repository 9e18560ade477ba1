/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Where the cluster store and the agent are: the command line first, then the environment (which
 * roostctl.c has put into the options), then the agent's configuration file, then defaults. Of the
 * file only these keys are looked at; the agent judges the rest. docs/AGENT.md describes them.
 */
#include <jansson.h>
#include <stdlib.h>

#include "cli/options.h"
#include "lib/err.h"
#include "store/store.h"

#define CONFIG_FILE "/etc/roost/roostd.json"
#define CONFIG_DATA_DIR "/var/lib/roost"
#define CONFIG_SOCKET "/run/roost/agent.sock"

struct config {
	struct store_options store; /* url is always set */
	const char *socket;	    /* of the agent, always set */
	char default_url[512];	    /* file:DATA_DIR/store */
	json_t *file;		    /* what the texts above may point into */
};

/* *out points into itself and into *o: never copy it. A file that was not asked for may be
 * missing. -EBADMSG, and what opening the file gives. */
int config_read(const struct options *o, struct config *out, struct err *e);
void config_done(struct config *c); /* takes what was never read, too, if zeroed */
#define CLEANUP_CONFIG __attribute__((cleanup(config_done)))

/* Opens the cluster store; the caller ends it with store_close(). A "file:" store has to be there. */
int config_open_store(const struct options *o, struct store **out, struct err *e);

/* The same for `apply`: a "file:" store that is not there is made, which is said on stderr. */
int config_make_store(const struct options *o, struct store **out, struct err *e);

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
