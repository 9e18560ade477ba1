/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Running another CNI plugin: found in CNI_PATH, given our environment with variables of its own and
 * its stdin byte for byte, killed with us (PR_SET_PDEATHSIG) and at the deadline. Its stderr is
 * ours. As a plugin does it (a foreign IPAM plugin, which gets what we got) and as a runtime does it
 * (exec_call()). Beside it, children that are talked with for long (exec_child). The only module
 * that forks.
 * Source: CNI SPEC.md section 4; retries of ETXTBSY as libcni does.
 */
#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#include "lib/cni.h"
#include "lib/err.h"

/* Runs type for command. On success *out is what it answered to ADD or VERSION, parsed (NULL
 * when it printed nothing, and for other verbs, whose output means nothing), owned by the
 * caller. A CNI error it printed is handed on in *e as it is, code included (-EREMOTEIO).
 * -ENOENT when there is no such plugin, -ETIMEDOUT at the deadline. */
int exec_plugin(const struct cni_request *r, const char *type, const char *command, int timeout_ms,
	json_t **out, struct err *e);

/* The same for who is no plugin: the caller says everything. Descriptors 0 to 2 must be taken. */
struct exec_call {
	const char *path; /* folders to look in, ':'-separated */
	const char *type, *command;
	const char *const *variables; /* "NAME=VALUE", instead of ours of those names */
	size_t n_variables;
	const char *input; /* stdin, input_len bytes */
	size_t input_len;
	int timeout_ms;
};
int exec_call(const struct exec_call *c, json_t **out, struct err *e);

/* Whether there is such a plugin in these folders. -ENOENT. */
int exec_find(const char *path, const char *type, struct err *e);

/* For a plugin, before it executes another one: that would execute itself without end if it were this very
 * file, under whatever name. -EINVAL: it is; -ENOENT. */
int exec_refuse_self(const char *path, const char *type, struct err *e);

/* A program with pipes of ours as its stdin, stdout and stderr. It is not killed with us: it is to
 * end when its stdin does. SIGINT, which a terminal sends to all of a command's processes, is
 * ignored in it unless it says otherwise. */
struct exec_child {
	pid_t pid;	     /* 0: it has ended, and was waited for */
	int pidfd;	     /* readable when it has ended */
	int in, out, errors; /* our ends, non-blocking */
	int status;	     /* waitpid()'s */
};
/* arguments end with NULL; the first is a path, or a name to be found in PATH. Ignore SIGPIPE
 * before writing. Descriptors 0 to 2 must be taken. */
int exec_child_start(const char *const *arguments, struct exec_child *out, struct err *e);
bool exec_child_has_ended(struct exec_child *c, int *status);
void exec_child_done(struct exec_child *c); /* kills one that is there still; may be repeated */
