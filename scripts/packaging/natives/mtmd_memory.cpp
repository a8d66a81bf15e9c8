// What a projector would take, of its device and of the machine's own memory: libmtmd tells it in C++ alone.
#include "mtmd.h"

#include <cstdint>

extern "C" MTMD_API bool odist_mtmd_memory(const char * path, mtmd_context_params params, uint64_t * device_bytes,
                                           uint64_t * host_bytes) {
    *device_bytes = 0;
    *host_bytes = 0;
    const auto used = mtmd_get_memory_usage(path, params);
    for (const auto & [device, bytes] : used) {
        (device == params.device ? *device_bytes : *host_bytes) += bytes;
    }
    return !used.empty();
}
