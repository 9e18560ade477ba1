/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a runtime asks for besides an attachment, gathered from the places CNI has for it.
 * Precedence (CNI CONVENTIONS.md): runtimeConfig (capabilities ips, mac, dns), pod annotations
 * (capability io.kubernetes.cri.pod-annotations), args.cni, CNI_ARGS; the first that says
 * something about a thing wins. Empty values and null mean "not requested".
 */
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/addr.h"
#include "lib/bandwidth.h"
#include "lib/err.h"
#include "lib/family.h"
#include "lib/ports.h"

#define CNI_WISH_MAX 8 /* addresses one request may ask for */

struct cni_wishes {
	struct addr ips[CNI_WISH_MAX];
	size_t n_ips;
	bool has_mac;
	unsigned char mac[6];
	/* Annotations ipv4pools, ipv6pools: prefixes and names of pools, owned; NULL: any. */
	json_t *pools[FAMILIES];
	bool of_namespace[FAMILIES]; /* it was the namespace that named them */
	bool has_families;	     /* annotation ipFamilies */
	bool families[FAMILIES];
	char unserved
		[256]; /* annotations that would limit the pod and are nobody's here, for the log */
	struct port *ports; /* capability portMappings; owned */
	size_t n_ports;
	struct bandwidths
		limits; /* capability bandwidth, annotations kubernetes.io/...-bandwidth */
	json_t *dns;	/* result form (nameservers, domain, search, options), owned; NULL: none */
	char pod_namespace[256]; /* K8S_POD_NAMESPACE without control characters; "" unknown */
	char pod_name[256];
	char pod_uid[64]; /* K8S_POD_UID, likewise */
	json_t *labels;	  /* args.cni.labels as an object of strings, owned; NULL: none */
};

/* Annotations of a namespace that count for pods which say nothing of the same: pools of each family, families.
 * A key is "roost.io/NAME" or Calico's; a text that is too long is cut. */
enum cni_namespace_annotation {
	CNI_NAMESPACE_POOLS4,
	CNI_NAMESPACE_POOLS6,
	CNI_NAMESPACE_FAMILIES,
	CNI_NAMESPACE_ANNOTATIONS,
};
struct cni_annotation {
	char key[48];
	char text[512]; /* "": it is not there */
};
/* Takes them out of an object of annotations; what is no text is not there. */
void cni_args_of_namespace(
	const json_t *annotations, struct cni_annotation out[CNI_NAMESPACE_ANNOTATIONS]);
/* Adds them to a pod's wishes. -EINVAL names annotation and value. */
int cni_args_add_namespace(struct cni_wishes *w,
	const struct cni_annotation list[CNI_NAMESPACE_ANNOTATIONS], struct err *e);

/* Whether text says which pool is meant: a prefix, or a name. */
bool cni_args_is_pool(const char *text);

/* Reads all of them. args: CNI_ARGS, "" when unset. -EINVAL names key and value of what cannot be
 * used, -EBADMSG a wrong JSON type, -EOPNOTSUPP an annotation that no pod here can have. *out holds the pod's names and nothing else then, so a verb
 * that needs no wishes (DEL) goes on with it. */
int cni_args_read(const json_t *conf, const char *args, struct cni_wishes *out, struct err *e);
void cni_args_done(struct cni_wishes *w);

/* Copies the value of a key of CNI_ARGS ("K=V;K=V", the first '=' separates, the last occurrence
 * counts). Anything else in there is ignored. False when the key is absent; a value longer
 * than size - 1 is cut, and *cut (may be NULL) says so. */
bool cni_args_get(const char *args, const char *key, char *out, size_t size, bool *cut);

/* A dns object in result form, only its valid known keys; NULL when it says nothing (or is no
 * object). The caller owns it. -EBADMSG: wrong types. where is for the error. */
int cni_args_dns(const json_t *dns, const char *where, json_t **out, struct err *e);
