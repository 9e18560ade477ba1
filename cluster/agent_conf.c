/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of the settings: a row for each key, with the check that its text passes (cluster/settings.h).
 * It belongs to root, but a typing error in it may cost a night: unknown keys are refused with
 * those that exist, and every sentence names the file and the key. roostd, whose settings they are,
 * and roostctl, which needs some of them, read it by the same table.
 */
#include "cluster/agent_conf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cluster/settings.h"
#include "cluster/status.h"
#include "lib/json.h"
#include "lib/schema.h"
#include "lib/text.h"
#include "store/store.h"

#define HEADROOM_MAX 1048576
#define IDLE_MAX_S 31536000
#define VNI_MAX 16777215
#define TABLE_MIN 256 /* those below are used by others: local, main, default, small numbers */

#define AT(field) SCHEMA_AT(struct agent_conf, field)

struct setting_type {
	struct schema_type schema;
	setting_fn *put;
};

static int read_setting(const struct schema_at *at, const char *text, void *out)
{
	char place[SCHEMA_PLACE];
	const struct setting_type *t = (const void *)at->m->type;
	schema_place(at, place);
	int r = t->put(text, out, at->m->size, at->reader->e);
	if (r < 0)
		err_add(at->reader->e, "%s", place);
	return r;
}

static int read_state_dirs(const struct schema_at *at, void *out)
{
	struct err *e = at->reader->e;
	if (!json_is_array(at->value))
		return schema_refuse_type(at, "an array");
	int r = 0;
	for (size_t i = 0; r == 0 && i < json_array_size(at->value); i++) {
		const char *dir = json_string_value(json_array_get(at->value, i));
		r = dir ? setting_add_state_dir(dir, out, e) : err_set(e, EBADMSG, "not a string");
		if (r < 0)
			err_add(e, "stateDirs[%zu]", i);
	}
	return r;
}

/* A running agent takes it up (agent_reload()); what has no such flag counts from the next start. */
#define LIVE (1u << 16)
#define TEXT(put) (&(const struct setting_type){{.parse = read_setting}, (put)}.schema)
#define SECTION(name, form)                                                                        \
	{                                                                                          \
		.key = (name), .type = &schema_object, .schema = &(form)                           \
	}
static const struct schema_member etcd_members[] = {
	{"prefix", TEXT(setting_prefix), AT(store.prefix)},
	{"caFile", TEXT(setting_path_or_none), AT(store.ca)},
	{"certFile", TEXT(setting_path_or_none), AT(store.cert)},
	{"keyFile", TEXT(setting_path_or_none), AT(store.key)},
	{"user", TEXT(setting_word), AT(store.user)},
	{"passwordFile", TEXT(setting_path_or_none), AT(store.password_file)},
};
static const struct schema_member address_members[] = {
	{"ipv4", TEXT(setting_detect4), AT(detect[IPV4]), LIVE},
	{"ipv6", TEXT(setting_detect6), AT(detect[IPV6]), LIVE},
};
static const struct schema_member bird_members[] = {
	{"file", TEXT(setting_path), AT(bird_file)},
	{"socket", TEXT(setting_socket), AT(bird_socket)},
	{"include", TEXT(setting_path), AT(bird_include)},
	{"group", TEXT(setting_word), AT(bird_group)},
};
static const struct schema_member conflist_members[] = {
	{"file", TEXT(setting_path_or_none), AT(conflist_file)},
	{"template", TEXT(setting_path), AT(conflist_template)},
};
static const struct schema_member vxlan_members[] = {
	{"port", &schema_number, AT(vxlan_port), .min = 1, .max = UINT16_MAX},
	{"vni", &schema_number, AT(vxlan_vni), .min = 1, .max = VNI_MAX},
	{"device", TEXT(setting_device), AT(vxlan_device)},
	{"checksumOffload", &schema_bool, AT(vxlan_offload)},
};
static const struct schema_member exits_members[] = {
	{"table", &schema_number, AT(exits_table), .min = TABLE_MIN, .max = UINT32_MAX},
};
static const struct schema_member policy_members[] = {
	{"enforce", TEXT(setting_enforce), AT(policy.off), LIVE},
	{"pending", TEXT(setting_pending), AT(policy.opens), LIVE},
	{"cutConnections", &schema_bool, AT(policy.cuts), LIVE},
	{"cutMark", TEXT(setting_mark), AT(policy.cut_mark)},
	{"logDenied", &schema_bool, AT(policy.logs_denied), LIVE},
	{"events", &schema_bool, AT(policy.events), LIVE},
};
static const struct schema_member log_members[] = {
	{"level", TEXT(setting_level), AT(log_level), LIVE},
	{"file", TEXT(setting_path_or_none), AT(log_file)},
};
static const struct schema etcd = SCHEMA_OF(etcd_members), address = SCHEMA_OF(address_members),
			   bird = SCHEMA_OF(bird_members), conflist = SCHEMA_OF(conflist_members),
			   vxlan = SCHEMA_OF(vxlan_members), exits = SCHEMA_OF(exits_members),
			   policy = SCHEMA_OF(policy_members), logging = SCHEMA_OF(log_members);
static const struct schema_member file_members[] = {
	{"node", TEXT(setting_node), AT(node)},
	{"store", TEXT(setting_store), AT(store.url)},
	SECTION("etcd", etcd),
	{.key = "stateDirs", .type = SCHEMA_READER(read_state_dirs)},
	{"dataDir", TEXT(setting_path), AT(data_dir)},
	{"socket", TEXT(setting_socket), AT(socket)},
	{"socketGroup", TEXT(setting_word), AT(socket_group)},
	{"kubernetes", TEXT(setting_kubernetes), AT(kubernetes)},
	{"kubernetesServer", TEXT(setting_kubernetes_server), AT(kube_server)},
	{"defaultLoadBalancer", &schema_bool, AT(default_balancer), LIVE},
	{"deletedNodeSeconds", &schema_number, AT(deleted_node_s), LIVE, .max = IDLE_MAX_S},
	{"leakedAddressSeconds", &schema_number, AT(leaked_address_s), LIVE, .max = IDLE_MAX_S},
	SECTION("address", address),
	SECTION("bird", bird),
	{"firstPools", TEXT(setting_path_or_none), AT(first_pools)},
	SECTION("conflist", conflist),
	{"routes", TEXT(setting_routes), AT(routes_static), LIVE},
	{"trustLastBlocks", &schema_bool, AT(trust_last_blocks)},
	{"headroom", &schema_number, AT(headroom), LIVE, .max = HEADROOM_MAX},
	{"idleBlockSeconds", &schema_number, AT(idle_block_s), LIVE, .min = 1, .max = IDLE_MAX_S},
	{"heartbeatSeconds", &schema_number, AT(heartbeat_s), .min = 1,
		.max = STATUS_HEARTBEAT_MAX_S},
	SECTION("vxlan", vxlan),
	SECTION("exits", exits),
	SECTION("policy", policy),
	SECTION("log", logging),
};

static const struct schema file = SCHEMA_OF(file_members);

int agent_conf_read_file(const char *path, bool wanted, struct agent_conf *out, struct err *e)
{
	const struct schema_reader reader = {.unknown = schema_unknown, .e = e};
	CLEANUP_JSON json_t *doc = NULL;
	*out = setting_defaults;
	int r = json_read_file(path, &doc, e);
	if (r < 0)
		return r == -ENOENT && !wanted ? 0 : r;
	r = schema_read_as(&reader, &file, doc, out);
	if (r < 0)
		err_add(e, "%.200s", path);
	return r == -EINVAL ? -EBADMSG : r; /* -EINVAL is for the command line */
}

const char *agent_conf_server(const struct agent_conf *c, const char *config)
{
	bool is_pod = !*config || strcmp(config, "in-cluster") == 0;
	const char *server = !*c->kube_server && is_pod ? c->pod_server : c->kube_server;
	return *server ? server : NULL;
}

/* A cluster store in Kubernetes says which one it is. Its API server has to serve the heartbeats of all. */
static int complete_kubernetes(struct agent_conf *c, struct err *e)
{
	const char *config = setting_kubeconfig(c->store.url);
	if (!c->heartbeat_s)
		c->heartbeat_s = config ? STATUS_HEARTBEAT_KUBE_S : STATUS_HEARTBEAT_S;
	if (!*c->kubernetes && config)
		(void)text_copy(
			c->kubernetes, sizeof(c->kubernetes), *config ? config : "in-cluster");
	if (strcmp(c->kubernetes, "none") == 0)
		c->kubernetes[0] = '\0';
	for (enum family f = IPV4; *c->kubernetes && f < FAMILIES; f++)
		if (c->detect[f].is_default)
			c->detect[f] =
				(struct detect){.method = DETECT_KUBERNETES, .text = "kubernetes"};
	for (enum family f = IPV4; !*c->kubernetes && f < FAMILIES; f++)
		if (c->detect[f].method == DETECT_KUBERNETES)
			return err_set(e, EINVAL,
				"address.%s is kubernetes, and the setting kubernetes does not say "
				"which one",
				f == IPV4 ? "ipv4" : "ipv6");
	return 0;
}

int agent_conf_complete(struct agent_conf *c, struct err *e)
{
	if (c->n_state_dirs == 0)
		(void)setting_add_state_dir(AGENT_CONF_STATE_DIR, c, e);
	if (!*c->store.url)
		(void)snprintf(c->store.url, sizeof(c->store.url), "file:%s/store", c->data_dir);
	int r = complete_kubernetes(c, e);
	if (r < 0)
		return r;
	if (!*c->store.cert != !*c->store.key)
		return err_set(e, EINVAL, "etcd.certFile and etcd.keyFile belong together");
	if (!*c->store.user != !*c->store.password_file)
		return err_set(e, EINVAL, "etcd.user and etcd.passwordFile belong together");
	return 0;
}

static bool has_same_dirs(const struct agent_conf *a, const struct agent_conf *b)
{
	bool same = a->n_state_dirs == b->n_state_dirs;
	for (size_t i = 0; same && i < a->n_state_dirs; i++)
		same = strcmp(a->state_dirs[i], b->state_dirs[i]) == 0;
	return same;
}

static bool is_same(
	const struct schema_member *m, const struct agent_conf *a, const struct agent_conf *b)
{
	const char *x = (const char *)a + m->offset;
	const char *y = (const char *)b + m->offset;
	if (m->size == 0)
		return has_same_dirs(a, b);	   /* the one with a reader of its own */
	bool is_text = m->size > sizeof(uint64_t); /* else a number, or a word of few */
	return is_text ? strncmp(x, y, m->size) == 0 : memcmp(x, y, m->size) == 0;
}

static void compare_form(const struct schema *form, const char *section, const struct agent_conf *a,
	const struct agent_conf *b, struct text *out)
{
	for (size_t i = 0; i < form->n; i++) {
		const struct schema_member *m = &form->members[i];
		if (m->schema)
			compare_form(m->schema, m->key, a, b, out);
		else if (!(m->flags & LIVE) && !is_same(m, a, b))
			text_add(out, "%s%s%s%s", out->len ? ", " : "", section,
				*section ? "." : "", m->key);
	}
}

void agent_conf_compare(
	const struct agent_conf *running, const struct agent_conf *fresh, char out[AGENT_CONF_LATE])
{
	struct text t = {.buf = out, .size = AGENT_CONF_LATE};
	out[0] = '\0';
	compare_form(&file, "", running, fresh, &t);
}

static const char *text_or_none(const char *s)
{
	return *s ? s : NULL;
}

void agent_conf_store(const struct agent_conf *c, struct store_options *out)
{
	const char *config = setting_kubeconfig(c->store.url);
	*out = (struct store_options){
		.server = config ? agent_conf_server(c, config) : NULL,
		.pools_file = text_or_none(c->first_pools),
		.url = c->store.url,
		.prefix = text_or_none(c->store.prefix),
		.ca_file = text_or_none(c->store.ca),
		.cert_file = text_or_none(c->store.cert),
		.key_file = text_or_none(c->store.key),
		.user = text_or_none(c->store.user),
		.password_file = text_or_none(c->store.password_file),
	};
}
