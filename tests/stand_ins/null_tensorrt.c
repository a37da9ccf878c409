/* Stands in for libnvinfer, libnvinfer_plugin and libnvonnxparser so that NVIDIA's real Python bindings can be imported
   where there is no TensorRT: the ten C functions that they link to. Enums, classes, signatures and docstrings are then
   NVIDIA's own. Every factory returns NULL, as the real one does without a usable GPU: nothing pretends to build. */
#include <stddef.h>

void *createInferBuilder_INTERNAL(void *logger, int version) { return NULL; }
void *createInferRuntime_INTERNAL(void *logger, int version) { return NULL; }
void *createInferRefitter_INTERNAL(void *engine, void *logger, int version) { return NULL; }
void *createNvOnnxParser_INTERNAL(void *network, void *logger, int version) { return NULL; }
void *createNvOnnxParserRefitter_INTERNAL(void *refitter, void *logger, int version) { return NULL; }
void *getPluginRegistry(void) { return NULL; }
void *getBuilderPluginRegistry(int capability) { return NULL; }
_Bool initLibNvInferPlugins(void *logger, const char *names) { return 0; }
int getInferLibVersion(void) { return 0; }
int getNvOnnxParserVersion(void) { return 0; }
