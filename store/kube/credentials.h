/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What we show an API server: its address, a token, certificates. Files are read again when they
 * changed, as tokens of pods live for an hour and certificates are renewed; a kubeconfig, too.
 */
#include <stdbool.h>

#include "store/http.h"
#include "store/kube/config.h"

struct kube_credentials;

/* config: a kubeconfig; NULL: the pod's account in folder. server: see store/kube/config.h. What can be
 * read is read. -EINVAL, and what open() says. */
int kube_credentials_open(struct kube_credentials **out, const char *config, const char *folder,
	const char *server, struct err *e);
void kube_credentials_close(struct kube_credentials *c); /* takes NULL */

/* Looks at the files. 1: something is another now; 0. An error is told by kube_credentials_trouble(), and
 * what was read before stays. */
int kube_credentials_look(struct kube_credentials *c);
const char *kube_credentials_trouble(const struct kube_credentials *c); /* NULL: none */

/* Borrowed until the next look. */
const struct kube_config *kube_credentials_config(const struct kube_credentials *c);
struct http_tls kube_credentials_tls(const struct kube_credentials *c);
const char *kube_credentials_token(const struct kube_credentials *c); /* NULL: none */

/* What a server that says 401 may mean: who we say we are, and whether the token's own times leave
 * out that of this machine's clock. Returns out. */
#define KUBE_WHO 320
char *kube_credentials_who(const struct kube_credentials *c, char out[KUBE_WHO]);
