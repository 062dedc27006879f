"""The formats in which owners publish the data sets of the field."""

from __future__ import annotations

from manylabel.data.formats.aapd import find_aapd, read_aapd
from manylabel.data.formats.adp import AdpOptions, find_adp, read_adp
from manylabel.data.formats.bgc import find_bgc, read_bgc
from manylabel.data.formats.chestxray import find_chestxray, read_chestxray
from manylabel.data.formats.coco import find_coco, looks_like_coco, read_coco
from manylabel.data.formats.eurlex import find_eurlex, read_eurlex
from manylabel.data.formats.format import Format
from manylabel.data.formats.goemotions import find_goemotions, read_goemotions
from manylabel.data.formats.miml import find_miml, read_miml
from manylabel.data.formats.mirflickr import MirflickrOptions, find_mirflickr, read_mirflickr
from manylabel.data.formats.nuswide import find_nuswide, read_nuswide
from manylabel.data.formats.options import PictureOptions
from manylabel.data.formats.rcv1 import find_rcv1, read_rcv1
from manylabel.data.formats.reuters import find_reuters, read_reuters
from manylabel.data.formats.uklex import find_uklex, read_uklex
from manylabel.data.formats.voc import VocOptions, find_voc, read_voc

PUBLISHED: tuple[Format, ...] = (
    Format(
        name="coco",
        title="MS-COCO, Objects365",
        about="a folder with annotations/instances_*.json and the pictures; or one such file",
        read=read_coco,
        endings=(".json",),
        accepts=looks_like_coco,
        find=find_coco,
        options=PictureOptions,
    ),
    Format(
        name="nuswide",
        title="NUS-WIDE",
        about="a folder with ImageList, Groundtruth/TrainTestLabels and the pictures",
        read=read_nuswide,
        find=find_nuswide,
        options=PictureOptions,
    ),
    Format(
        name="mirflickr",
        title="MIRFLICKR-25k",
        about="a folder with animals.txt, baby.txt, ... (numbers of pictures) and im1.jpg, im2.jpg, ...",
        read=read_mirflickr,
        find=find_mirflickr,
        options=MirflickrOptions,
    ),
    Format(
        name="voc",
        title="PASCAL VOC",
        about="a folder with Annotations (XML), ImageSets/Main and JPEGImages",
        read=read_voc,
        find=find_voc,
        options=VocOptions,
    ),
    Format(
        name="chestxray14",
        title="ChestX-ray14",
        about="a folder with Data_Entry_2017.csv, train_val_list.txt, test_list.txt and the pictures",
        read=read_chestxray,
        find=find_chestxray,
        options=PictureOptions,
    ),
    Format(
        name="adp",
        title="Atlas of Digital Pathology",
        about="a folder with ADP_EncodedLabels_Release1_Flat.csv, the patches and splits/*.npy",
        read=read_adp,
        find=find_adp,
        options=AdpOptions,
    ),
    Format(
        name="miml",
        title="MIML natural scenes",
        about="a folder with `miml data.mat` and the pictures 1.jpg, 2.jpg, ...",
        read=read_miml,
        find=find_miml,
        options=PictureOptions,
    ),
    Format(
        name="rcv1",
        title="RCV1-v2",
        about="a folder with rcv1-v2.topics.qrels and lyrl2004_tokens_*.dat",
        read=read_rcv1,
        find=find_rcv1,
    ),
    Format(
        name="aapd",
        title="AAPD",
        about="a folder with text_train, label_train and the like, one document a line",
        read=read_aapd,
        find=find_aapd,
    ),
    Format(
        name="bgc",
        title="Blurb Genre Collection",
        about="a folder with BlurbGenreCollection_EN_train.txt, _dev.txt and _test.txt",
        read=read_bgc,
        find=find_bgc,
    ),
    Format(
        name="uklex",
        title="UK-LEX",
        about="a folder with one file uk-lex*.jsonl",
        read=read_uklex,
        find=find_uklex,
    ),
    Format(
        name="eurlex",
        title="EURLEX57K",
        about="folders train, dev and test with a JSON file for each law",
        read=read_eurlex,
        find=find_eurlex,
    ),
    Format(
        name="reuters",
        title="Reuters-21578",
        about="a folder with reut2-000.sgm, reut2-001.sgm, ...",
        read=read_reuters,
        find=find_reuters,
    ),
    Format(
        name="goemotions",
        title="GoEmotions",
        about="a folder with train.tsv, dev.tsv, test.tsv and emotions.txt or labels.txt",
        read=read_goemotions,
        find=find_goemotions,
    ),
)
