/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two tables. A key of the first would change what pods may do, reach, or wait for; it is refused
 * unless it has the value that changes nothing, which is what exports and templates are full of. A
 * key of the second says where Calico finds its own things (datastore, credentials, files); roost
 * has its own places for these, so it is only named in the log.
 *
 * That an ignored list was named is remembered by an empty file in the state folder, so a node with
 * a hundred pods has one line in its log, and a new one after a reboot or a change of the keys. Only a
 * configuration with such keys pays for the look at the file.
 */
#include "plugins/calico.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/hash.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/text.h"

struct calico_key {
	const char *object; /* NULL: the top level */
	const char *key;
	const char *neutral; /* a text that changes nothing, besides "" */
	const char *why;     /* of a refused key: what roost does instead, or what to do */
};

static const struct calico_key refused[] = {
	{"feature_control", "ip_addrs_no_ipam", NULL, "every address of a pod is one of a pool"},
	{"feature_control", "floating_ips", NULL, "roost translates no addresses for pods"},
	{"dataplane_options", "type", "linux", "roost wires pods by itself, through the kernel"},
	{NULL, "readiness_gates", NULL, "roost asks no URL before it wires a pod"},
};

static const struct calico_key ignored_keys[] = {
	{NULL, "mode", NULL, NULL},
	{NULL, "nodename", NULL, NULL},
	{NULL, "nodename_file", NULL, NULL},
	{NULL, "nodename_file_optional", NULL, NULL},
	{NULL, "hostname", NULL, NULL},
	{NULL, "ipam_lock_file", NULL, NULL},
	{NULL, "datastore_type", NULL, NULL},
	{NULL, "etcd_endpoints", NULL, NULL},
	{NULL, "etcd_discovery_srv", NULL, NULL},
	{NULL, "etcd_key_file", NULL, NULL},
	{NULL, "etcd_cert_file", NULL, NULL},
	{NULL, "etcd_ca_cert_file", NULL, NULL},
	{NULL, "etcd_authority", NULL, NULL},
	{NULL, "etcd_scheme", NULL, NULL},
	{NULL, "kubernetes", NULL, NULL},
	{"policy", "k8s_api_root", NULL, NULL},
	{"policy", "k8s_auth_token", NULL, NULL},
	{"policy", "k8s_client_certificate", NULL, NULL},
	{"policy", "k8s_client_key", NULL, NULL},
	{"policy", "k8s_certificate_authority", NULL, NULL},
	{NULL, "num_queues", NULL, NULL},
	{NULL, "device_type", "veth", NULL},
	{NULL, "policy_setup_timeout_seconds", NULL, NULL},
	{NULL, "endpoint_status_dir", NULL, NULL},
	{NULL, "require_mtu_file", NULL, NULL},
	{NULL, "log_file_max_age", NULL, NULL},
	{NULL, "log_file_max_count", NULL, NULL},
	{NULL, "qps", NULL, NULL},
	{NULL, "burst", NULL, NULL},
	{NULL, "calico_api_group", NULL, NULL},
	/* portmap's */
	{NULL, "externalSetMarkChain", NULL, NULL},
	{NULL, "markMasqBit", NULL, NULL},
};

#define N(table) (sizeof(table) / sizeof((table)[0]))

/* The value of a key that says something; NULL when it is absent or has a value that changes nothing. */
static const json_t *calico_value(const json_t *doc, const struct calico_key *k)
{
	const json_t *object = k->object ? json_object_get(doc, k->object) : doc;
	const json_t *value = json_object_get(object, k->key);
	const char *text = json_string_value(value);
	bool neutral = json_is_null(value) || json_is_false(value) ||
		       (json_is_integer(value) && json_integer_value(value) == 0) ||
		       (json_is_array(value) && json_array_size(value) == 0) ||
		       (json_is_object(value) && json_object_size(value) == 0) ||
		       (text && (!*text || (k->neutral && strcmp(text, k->neutral) == 0)));
	return neutral ? NULL : value;
}

static void add_name(struct text *t, const struct calico_key *k)
{
	text_add(t, "%s%s%s", k->object ? k->object : "", k->object ? "." : "", k->key);
}

int calico_check(const json_t *doc, struct err *e)
{
	for (size_t i = 0; i < N(refused); i++) {
		const struct calico_key *k = &refused[i];
		const json_t *value = calico_value(doc, k);
		if (!value)
			continue;
		char name[64];
		struct text t = TEXT_ON(name);
		add_name(&t, k);
		char shown[64];
		const char *text = json_string_value(value);
		(void)text_clean(shown, sizeof(shown), text ? text : json_type_text(value));
		(void)err_set(e, EOPNOTSUPP, "%s \"%s\" is not supported: %s", name, shown, k->why);
		err_details(e, "a key of Calico's plugin; pods are refused, as they would lack "
			       "what it asks for without a word");
		return -EOPNOTSUPP;
	}
	return 0;
}

void calico_list_ignored(const json_t *doc, char out[CALICO_IGNORED])
{
	struct text t = {.buf = out, .size = CALICO_IGNORED};
	*out = '\0';
	for (size_t i = 0; i < N(ignored_keys); i++) {
		if (!calico_value(doc, &ignored_keys[i]))
			continue;
		text_add(&t, "%s", t.len ? ", " : "");
		add_name(&t, &ignored_keys[i]);
	}
}

void calico_warn_once(const char *dir, const char *ignored)
{
	struct hash hash = hash_of(ignored, strlen(ignored));
	char text[HASH_TEXT];
	char path[512];
	hash_format(&hash, text);
	(void)snprintf(path, sizeof(path), "%s/ignored-%.16s", dir, text);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0)
		(void)close(fd);
	else if (errno == EEXIST)
		return;
	log_warning("these keys of the network configuration are other plugins', and roost does "
		    "without them: %s",
		ignored);
}
