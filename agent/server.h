/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The agent's unix socket: one JSON document in a line, one line back, then the next. At most 64
 * connections, 64 KiB a request, 10 s for it; root and one group may connect (0660). Answers may
 * come later: a request stays open until server_answer(). docs/AGENT.md has the requests.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"

#define SERVER_CONNECTIONS 64
#define SERVER_REQUEST_MAX 65536 /* bytes of a line */
#define SERVER_TIMEOUT_S 10	 /* for sending a request, for taking an answer */

struct server;

/* A socket file that nobody listens on is replaced. -EADDRINUSE: somebody does. */
int server_open(struct server **out, const char *path, const char *group, struct err *e);
void server_close(struct server *s);   /* takes NULL; removes the socket file */
int server_fd(const struct server *s); /* readable: call server_next() */

/* The next complete request: an object with "op"; garbage was answered already. false: nothing
 * now. *request is borrowed until the answer. */
bool server_next(struct server *s, uint64_t *id, const json_t **request);

/* Ends a request whose client may be gone meanwhile. answer is taken over. */
void server_answer(struct server *s, uint64_t id, json_t *answer);
void server_refuse(struct server *s, uint64_t id, int error, const struct err *e);

/* What one line asks for: an object with a string "op". -EBADMSG, -EINVAL. */
int server_parse(const char *line, size_t len, json_t **out, struct err *e);
