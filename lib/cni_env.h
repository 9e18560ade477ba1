/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The environment of a CNI call (CNI SPEC.md section 2, "Parameters"): which verb, which container,
 * where. The rest of a request comes on stdin (lib/cni.h).
 */
#include <stdbool.h>

#include "lib/err.h"

enum cni_command { CNI_ADD, CNI_DEL, CNI_CHECK, CNI_GC, CNI_STATUS, CNI_VERSION };

const char *cni_command_text(enum cni_command c); /* "ADD" */
bool cni_command_parse(const char *s, enum cni_command *out);

#define CNI_CONTAINER_MAX 1023 /* bytes of a container id we accept */

/* Strings are borrowed from the environment; "" where a variable is unset, never NULL. */
struct cni_env {
	const char *command;
	const char *container;
	const char *netns;
	const char *ifname;
	const char *args;
	const char *path;
};
struct cni_env cni_env_get(void);

/* Whether the command has what it needs, in a form it accepts; an unknown command needs nothing.
 * -EINVAL with code 4. DEL goes on without CNI_PATH: that error goes into *late, to be
 * reported after the clean-up. */
int cni_env_check(const struct cni_env *env, struct err *late, struct err *e);
