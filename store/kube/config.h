/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Where an API server is and who we are there, as a kubeconfig or a pod's service account says.
 * Nothing is contacted; files that are only named are not read here (store/kube/credentials.h does).
 */
#include <stddef.h>

#include "lib/err.h"

/* The folder that a kubelet mounts into each container. */
#define KUBE_ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount"

/* Where something is: in a file, or here. Both NULL: nowhere. */
struct kube_source {
	char *file;
	char *bytes; /* terminated */
	size_t len;
};

struct kube_config {
	char *server;	       /* "https://10.0.0.1:6443" */
	char *path;	       /* that precedes every path, "" mostly; without a slash at its end */
	char *tls_server_name; /* whom the certificate must name; NULL: the server's host */
	char *namespace_;
	struct kube_source ca, cert, key, token;
};

/* The current context of a kubeconfig. server (NULL: none) counts instead of the one said there.
 * -EINVAL, and what open() says. */
int kube_config_read(const char *path, const char *server, struct kube_config *out, struct err *e);

/* The account of the pod we run in. folder: KUBE_ACCOUNT. -EINVAL: no server is given, or there is no
 * account. */
int kube_config_account(
	const char *folder, const char *server, struct kube_config *out, struct err *e);

void kube_config_done(struct kube_config *c); /* takes a zeroed one */
