"""The models that the dear tests take. All models are checked against their figures in numeric/test_models.py."""

#: small and large, with and without gates: what compilers are asked to optimise fully
SAMPLE_MODELS = ("AlievPanfilov", "HodgkinHuxley", "MitchellSchaeffer", "tenTusscherPanfilov", "OHara")
