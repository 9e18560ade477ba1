/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Running another CNI plugin (a foreign IPAM plugin): found in CNI_PATH, given our environment with
 * another CNI_COMMAND and our stdin byte for byte, killed with us (PR_SET_PDEATHSIG) and at
 * the deadline. Its stderr is ours. The only module that forks.
 * Source: CNI SPEC.md section 4; retries of ETXTBSY as libcni does.
 */
#include <jansson.h>

#include "lib/cni.h"
#include "lib/err.h"

/* Runs type for command. On success *out is what it answered to ADD or VERSION, parsed (NULL
 * when it printed nothing, and for other verbs, whose output means nothing), owned by the
 * caller. A CNI error it printed is handed on in *e as it is, code included (-EREMOTEIO).
 * -ENOENT when there is no such plugin, -ETIMEDOUT at the deadline. */
int exec_plugin(const struct cni_request *r, const char *type, const char *command, json_t **out,
	struct err *e);

/* The same with another deadline than the usual 100 s. */
int exec_plugin_within(const struct cni_request *r, const char *type, const char *command,
	int timeout_ms, json_t **out, struct err *e);
