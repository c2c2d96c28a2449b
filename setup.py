"Everything about the package is read from settings.ini."

import sys
from configparser import ConfigParser
from pathlib import Path

from setuptools import Extension, find_packages, setup

config = ConfigParser(delimiters=["="])
config.read("settings.ini", encoding="utf-8")
cfg = config["DEFAULT"]
extras = {k.removesuffix("_requirements"): cfg[k].split() for k in cfg if k.endswith("_requirements")}

# Optional: without a compiler the package installs all the same, and involution takes its slower path.
openmp = ["-fopenmp"] if sys.platform == "linux" else []
involution = Extension(
    "sports_nb.layers._involution",
    ["sports_nb/layers/involution.cpp"],
    extra_compile_args=["-O3", *openmp],
    extra_link_args=openmp,
    language="c++",
    optional=True,
)

setup(
    name=cfg["lib_name"],
    version=cfg["version"],
    description=cfg["description"],
    keywords=cfg["keywords"],
    author=cfg["author"],
    author_email=cfg["author_email"],
    license="Apache-2.0",
    long_description=Path("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    classifiers=[
        "Development Status :: 3 - Alpha",
        f"Intended Audience :: {cfg['audience']}",
        f"Natural Language :: {cfg['language']}",
        "Programming Language :: Python :: 3",
    ],
    ext_modules=[involution],
    packages=find_packages(include=["sports_nb", "sports_nb.*"]),
    package_data={"sports_nb": cfg["package_data"].split()},
    python_requires=f">={cfg['min_python']}",
    install_requires=cfg["requirements"].split(),
    extras_require=extras,
    entry_points={"console_scripts": cfg["console_scripts"].split()},
    zip_safe=False,
)
