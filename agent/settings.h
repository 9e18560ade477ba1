/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The settings of roostd that are texts: a table with what each is called on the command line, in
 * the environment and in the file, what it must look like, and its default.
 */
#include <stddef.h>

#include "agent/agent_conf.h"
#include "lib/err.h"

enum setting_kind {
	SETTING_NODE,
	SETTING_STORE,
	SETTING_PREFIX,
	SETTING_PATH,
	SETTING_PATH_OR_NONE,
	SETTING_SOCKET,
	SETTING_WORD, /* the name of a user or group, or nothing */
	SETTING_DETECT4,
	SETTING_DETECT6,
	SETTING_ROUTES,
	SETTING_DEVICE,
	SETTING_LEVEL,
};

struct setting {
	enum setting_kind kind;
	const char *flag, *variable; /* NULL: none */
	const char *place;	     /* in the file: "etcd.prefix" */
	size_t offset, size;	     /* of the text in struct agent_conf */
	const char *preset;	     /* the default; NULL: it depends on others */
	const char *value, *help;    /* for --help; NULL without a flag */
};
#define SETTINGS 21
extern const struct setting settings[SETTINGS];

/* The one of a place, which has one. */
const struct setting *setting_find(const char *place);

/* Checks the text and puts it into *out. -EINVAL. */
int setting_put(const struct setting *t, const char *value, struct agent_conf *out, struct err *e);
int setting_add_state_dir(const char *dir, struct agent_conf *out, struct err *e);

/* Every setting as it is when nobody says anything, but for node, store and state_dirs. */
void setting_put_defaults(struct agent_conf *out);
